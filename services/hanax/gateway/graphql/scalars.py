"""Scalars: what JSON can say and GraphQL has no type for.

They take a value as it was sent. It is checked where every door's requests are, so that the same mistake has
the same name in all of them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, NewType

import numpy as np
import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

PointId = NewType("PointId", object)
Vector = NewType("Vector", object)
Long = NewType("Long", int)
Json = NewType("Json", object)


@strawberry.enum(description="How vectors are written")
class VectorEncoding(Enum):
    LIST = strawberry.enum_value("list", description="numbers")
    BASE64 = strawberry.enum_value(
        "base64", description="base64 of little-endian float32: small, and quick to read"
    )


def encode_vector(vector: Any, encoding: VectorEncoding) -> object:
    """vector: float32[n], or None."""
    if vector is None or encoding is VectorEncoding.LIST:
        return vector
    return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode("ascii")


def _same(value: Any) -> Any:
    return value


def _scalar(name: str, description: str) -> ScalarDefinition:
    return strawberry.scalar(
        name=name, description=description, serialize=_same, parse_value=_same, parse_literal=None
    )


SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    PointId: _scalar("PointId", "A point's id: an unsigned 64-bit integer, a UUID or a string; 7 is not '7'"),
    Vector: _scalar(
        "Vector", "A list of numbers, or base64 of little-endian float32; answered as `encoding` says"
    ),
    Long: _scalar("Long", "A whole number of up to 64 bits"),
    Json: _scalar("JSON", "Any JSON value"),
    datetime: _scalar("DateTime", "An instant, RFC 3339, in UTC"),
}

CONFIG: Final = StrawberryConfig(
    # Values are what the other doors answer: mappings by the fields' own names.
    default_resolver=lambda source, name: source.get(name),
    scalar_map=SCALARS,
)
