"""Ids, instants, JSON and vectors on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from pydantic_core import from_json, to_json

from hxp_vector_client._stubs import columns_pb2 as pb
from hxp_vector_client._stubs import embeddings_pb2
from hxp_vector_client.arrays import Array
from hxp_vector_client.errors import InvalidArgument, InvalidExpiry, InvalidId

_UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

LONG_TEXTS: Final = {
    "truncate": embeddings_pb2.LONG_TEXT_RULE_TRUNCATE,
    "refuse": embeddings_pb2.LONG_TEXT_RULE_REFUSE,
    "split": embeddings_pb2.LONG_TEXT_RULE_SPLIT,
}
PURPOSES: Final = {
    "query": embeddings_pb2.TEXT_PURPOSE_QUERY,
    "document": embeddings_pb2.TEXT_PURPOSE_DOCUMENT,
    "none": embeddings_pb2.TEXT_PURPOSE_UNSPECIFIED,
}


def word(words: Mapping[str, Any], given: object, name: str) -> Any:
    """The enum's value. Raises InvalidArgument for a word that the field does not know."""
    if given not in words:
        raise InvalidArgument(f"{name}: expected one of {', '.join(words)}, got {given!r}")
    return words[str(given)]


def encode_id(value: int | str) -> bytes:
    """One tag byte and the value. Raises InvalidId."""
    if isinstance(value, str):
        if len(value) == 36 and _UUID_FORM.fullmatch(value):
            return b"\x02" + bytes.fromhex(value.replace("-", ""))
        return b"\x03" + value.encode("utf-8", "surrogatepass")
    if 0 <= value < 2**64:
        return b"\x01" + value.to_bytes(8, "big")
    raise InvalidId(f"an integer id is between 0 and 2^64 - 1, got {value}")


def decode_id(encoded: bytes) -> int | str:
    tag, body = encoded[:1], encoded[1:]
    if tag == b"\x01":
        return int.from_bytes(body, "big")
    if tag == b"\x02":
        text = body.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return body.decode()


def decode_ids(encoded: Iterable[bytes]) -> list[int | str]:
    return [decode_id(one) for one in encoded]


def instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(when: datetime | str) -> int:
    """Since 1970 UTC; what has no offset is in UTC. Raises InvalidExpiry."""
    try:
        at = datetime.fromisoformat(when) if isinstance(when, str) else when
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    except (AttributeError, ValueError):
        raise InvalidExpiry(f"expires_at: expected a date-time of RFC 3339, got {str(when)[:60]!r}") from None
    return (at - _EPOCH) // timedelta(microseconds=1)


def json_bytes(value: object) -> bytes:
    """Raises InvalidArgument for what JSON has not."""
    try:
        return to_json(value, fallback=_plain)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(f"can not be written as JSON: {error}") from None


def given_json(value: object) -> bytes:
    """Empty for None."""
    return b"" if value is None else json_bytes(value)


def read_json(raw: bytes) -> Any:
    """None for nothing."""
    return from_json(raw) if raw else None


def vector(array: Array) -> pb.Vector:
    return pb.Vector(float32_le=array.astype("<f4", copy=False).tobytes())


def vectors(rows: Sequence[Array] | Array) -> pb.Vectors:
    """Rows of one dimension. Raises InvalidArgument where they differ."""
    if not isinstance(rows, np.ndarray):
        if len({len(row) for row in rows}) > 1:
            raise InvalidArgument("vectors: expected rows of the same number of numbers")
        rows = np.stack(rows)
    return pb.Vectors(dimension=rows.shape[1], float32_le=rows.astype("<f4", copy=False).tobytes())


def read_vector(message: pb.Vector) -> Array:
    return np.frombuffer(message.float32_le, dtype="<f4").astype(np.float32, copy=False)


def read_vectors(message: pb.Vectors) -> Array:
    rows = np.frombuffer(message.float32_le, dtype="<f4").astype(np.float32, copy=False)
    return rows.reshape(-1, message.dimension) if message.dimension else rows.reshape(0, 0)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no value of JSON")
