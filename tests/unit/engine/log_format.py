"""The log's format, written down again from docs/formats/shard.md, apart from the code under test."""

from __future__ import annotations

import struct

import xxhash

FILE_HEADER_BYTES = 32
RECORD_HEADER_BYTES = 40
PAGE_BYTES = 4096


def file_header(first: int) -> bytes:
    fields = b"HANAXLOG" + struct.pack("<IIQ", 1, 0, first)
    return fields + struct.pack("<Q", xxhash.xxh3_64_intdigest(fields))


def record(sequence: int, durable: int, payload: bytes) -> bytes:
    digest = xxhash.xxh3_64_intdigest(payload)
    fields = b"HXRC" + struct.pack("<IQQQ", len(payload), sequence, durable, digest)
    return fields + struct.pack("<Q", xxhash.xxh3_64_intdigest(fields)) + payload


def group(first: int, payloads: list[bytes]) -> bytes:
    """Records that share one sync: all say that what came before the first one was durable."""
    return b"".join(record(first + place, first - 1, payload) for place, payload in enumerate(payloads))


def name(first: int) -> str:
    return f"{first:020d}.log"
