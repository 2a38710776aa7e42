"""What is searched for, as the server takes it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hxp_vector_client.arrays import VectorLike, to_vector
from hxp_vector_client.columns import IdLike, plain_id
from hxp_vector_client.errors import InvalidArgument

# One search of a batch: a vector, or {"vector": ...}, {"text": ...} or {"id": ...}.
Sought = VectorLike | Mapping[str, Any]
Queries = NDArray[Any] | Sequence[Sought]


def sought_json(vector: VectorLike | None, text: str | None, like: IdLike | None) -> dict[str, Any]:
    """Raises InvalidArgument unless one of the three is given."""
    if (vector is not None) + (text is not None) + (like is not None) != 1:
        raise InvalidArgument("expected one of vector, text and like")
    if vector is not None:
        return {"vector": to_vector(vector)}
    return {"text": text} if text is not None else {"id": plain_id(like)}


def query_json(query: Sought) -> dict[str, Any]:
    if not isinstance(query, Mapping):
        return {"vector": to_vector(query)}
    return {**query, "vector": to_vector(query["vector"])} if "vector" in query else dict(query)


def example(given: object) -> Any:
    """An id, or a vector."""
    if isinstance(given, str | int | uuid.UUID | np.integer):
        return plain_id(given)
    return to_vector(given, "example")
