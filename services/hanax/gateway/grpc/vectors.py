"""Vectors of messages: packed bytes, or packed numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hanax.core.errors import InvalidArgument
from hanax.gateway.vectors import float32_le

if TYPE_CHECKING:
    from collections.abc import Sequence

    from citadel.vector.v1 import vector_pb2 as pb


def read_vector(vector: pb.Vector, where: str) -> bytes:
    """As request models take it: little-endian float32. Raises InvalidArgument for both forms at once."""
    return _one_form(vector.float32_le, vector.values, where)


def read_rows(vectors: pb.Vectors, where: str) -> bytes:
    """Row by row, little-endian float32."""
    return _one_form(vectors.float32_le, vectors.values, where)


def _one_form(raw: bytes, values: Sequence[float], where: str) -> bytes:
    if not values:
        return raw
    if raw:
        raise InvalidArgument(f"{where}: expected float32_le or values, got both")
    return float32_le(np.array(values, dtype=np.float32))
