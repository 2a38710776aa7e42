"""Vectors: numpy float32 on this side, whatever they are on the wire."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from hxp_vector_client.errors import InvalidArgument

Array = NDArray[np.float32]
# One vector as callers bring it: shape (dimension,), any real dtype.
VectorLike = NDArray[Any] | Sequence[float]
# Several: shape (n, dimension).
MatrixLike = NDArray[Any] | Sequence[VectorLike]


def to_vector(value: object, name: str = "vector") -> Array:
    """float32 of shape (dimension,). Raises InvalidArgument for what is no vector.

    What is beyond float32 becomes infinite, which the server refuses by name.
    """
    array = _to_array(value, name)
    if array.ndim == 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 1:
        raise InvalidArgument(f"{name}: expected a vector of shape (dimension,), got {array.shape}")
    return array


def to_matrix(value: object, name: str = "vectors") -> Array:
    """float32 of shape (n, dimension), row by row in memory. Raises InvalidArgument."""
    array = _to_array(value, name)
    if array.ndim != 2:
        raise InvalidArgument(f"{name}: expected rows of shape (n, dimension), got {array.shape}")
    return np.ascontiguousarray(array)


def _to_array(value: object, name: str) -> Array:
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        return value
    try:
        # A string would be parsed as a number, and None become NaN.
        raw = np.asarray(value)
        if raw.dtype.kind not in "fiu":
            raise InvalidArgument(f"{name}: expected numbers, got {_kind(value, raw)}")
        with np.errstate(over="ignore"):
            return raw.astype(np.float32, copy=False)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(f"{name}: expected rows of the same number of numbers: {error}") from None


def _kind(value: object, raw: NDArray[Any]) -> str:
    return type(value).__name__ if raw.ndim == 0 else f"an array of {raw.dtype}"


def stack(vectors: Iterable[Array | None], dimension: int = 0) -> Array:
    """Rows of float32, shape (n, dimension). Raises InvalidArgument where one is missing."""
    rows = list(vectors)
    if any(row is None for row in rows):
        raise InvalidArgument("there are no vectors in this answer; ask with include_vectors=True")
    return np.stack([row for row in rows if row is not None]) if rows else np.empty((0, dimension), "f4")


def _read(value: Any) -> object:
    if isinstance(value, str):
        return _unpacked(value)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return np.stack([_unpacked(row) for row in value])
    return None if value is None else np.asarray(value, dtype=np.float32)


def _unpacked(text: str) -> Array:
    """From base64 of little-endian float32."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32, copy=False)


# A vector, or a matrix, in a model of this package.
VectorField = Annotated[
    Array,
    PlainValidator(_read),
    PlainSerializer(lambda array: array.tolist(), when_used="json-unless-none"),
    WithJsonSchema({"type": "array", "items": {"type": "number"}}),
]
MatrixField = Annotated[
    Array,
    PlainValidator(_read),
    PlainSerializer(lambda array: array.tolist(), when_used="json-unless-none"),
    WithJsonSchema({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
]
