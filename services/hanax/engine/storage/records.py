"""The payload of a log record: one write, as columns (docs/formats/shard.md)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import DataLoss

Buffer = bytes | memoryview

_HEADER = struct.Struct("<BBBxIq")
# Bit of the header: the record has a section of expiries.
_EXPIRES = 1
_DIMENSION = struct.Struct("<I")


class Kind(IntEnum):
    UPSERT = 1
    METADATA = 2
    DELETE = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One write of n points. metadata is empty for a delete, vectors for all but an upsert.

    vectors: float32[n, dimension] by column name. expires_at_us: int64[n], microseconds since 1970 UTC, 0 for
    never. None: an upsert's points never expire, and new metadata leave that as it was.
    """

    kind: Kind
    time_us: int
    ids: Sequence[bytes]
    metadata: Sequence[bytes]
    vectors: Mapping[str, NDArray[np.float32]]
    expires_at_us: NDArray[np.int64] | None = None


def encode_record(record: Record) -> list[Buffer]:
    """Return the payload in pieces, vectors uncopied."""
    parts: list[Buffer] = [
        _HEADER.pack(
            record.kind,
            len(record.vectors),
            0 if record.expires_at_us is None else _EXPIRES,
            len(record.ids),
            record.time_us,
        ),
        bytes(map(len, record.ids)),
        *record.ids,
    ]
    if record.kind is not Kind.DELETE:
        parts.append(np.fromiter(map(len, record.metadata), "<u4", len(record.ids)).tobytes())
        parts.extend(record.metadata)
    if record.expires_at_us is not None:
        parts.append(record.expires_at_us.astype("<i8", copy=False).tobytes())
    # Small pieces are joined: a write of thousands of buffers costs more than one copy of them.
    parts = [b"".join(parts)]
    for name, rows in record.vectors.items():
        encoded = name.encode()
        parts.append(bytes([len(encoded)]) + encoded + _DIMENSION.pack(rows.shape[1]))
        parts.append(np.ascontiguousarray(rows, "<f4").data.cast("B"))
    return parts


def decode_record(payload: bytes) -> Record:
    """Read a payload back. Raises DataLoss when its sections don't add up."""
    try:
        kind, columns, sections, count, time_us = _HEADER.unpack_from(payload)
        at = _HEADER.size
        id_lengths = payload[at : at + count]
        ids, at = _split(payload, at + count, id_lengths)
        metadata: list[bytes] = []
        if kind != Kind.DELETE:
            lengths = np.frombuffer(payload, "<u4", count, at)
            metadata, at = _split(payload, at + 4 * count, lengths.tolist())
        if sections not in (0, _EXPIRES):
            raise ValueError(f"there are no sections {sections}")
        expires: NDArray[np.int64] | None = None
        if sections:
            # A copy, aligned.
            expires = np.frombuffer(payload, "<i8", count, at).copy()
            at += expires.nbytes
        vectors = {}
        for _ in range(columns):
            length = payload[at]
            name = payload[at + 1 : at + 1 + length].decode()
            at += 1 + length
            (dimension,) = _DIMENSION.unpack_from(payload, at)
            rows = np.frombuffer(payload, "<f4", count * dimension, at + 4)
            vectors[name] = rows.reshape(count, dimension)
            at += 4 + rows.nbytes
        if at != len(payload):
            raise ValueError(f"{len(payload) - at} bytes are left over")
        return Record(Kind(kind), time_us, ids, metadata, vectors, expires)
    except (ValueError, IndexError, struct.error) as error:
        raise DataLoss(f"a log record of {len(payload)} bytes does not add up: {error}") from None


def _split(payload: bytes, at: int, lengths: Sequence[int]) -> tuple[list[bytes], int]:
    found = []
    for length in lengths:
        found.append(payload[at : at + length])
        at += length
    if at > len(payload):
        raise ValueError("it ends inside a section")
    return found, at
