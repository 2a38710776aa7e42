"""Point ids: what a user writes, what is stored, and where it lives.

An id is an unsigned 64-bit integer, a UUID, or a string of 1 to 128 UTF-8 bytes. A string in
the canonical 8-4-4-4-12 form is a UUID, whatever the case of its letters; it is answered in lower
case. Integer 7 and string "7" are different ids.

The encoded form is one tag byte and the value. It is what the log, the segments and the wire
carry, and what `slot_of` hashes; it can't change without moving every point (docs/adr/0002).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import xxhash

from hanax.core.errors import InvalidId
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_ID_BYTES, SLOTS

PointId = int | str

_INTEGER: Final = b"\x01"
_UUID: Final = b"\x02"
_STRING: Final = b"\x03"
_MAX_INTEGER: Final = 2**64 - 1
_UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def encode_id(value: object) -> bytes:
    """Return the stored form of an id. Raises InvalidId, saying what an id may be."""
    if type(value) is str:
        if len(value) == 36 and _UUID_FORM.fullmatch(value):
            return _UUID + bytes.fromhex(value.replace("-", ""))
        try:
            text = value.encode()
        except UnicodeEncodeError:
            raise InvalidId("an id must be valid Unicode text") from None
        if 0 < len(text) <= MAX_ID_BYTES:
            return _STRING + text
        raise InvalidId(
            f"a string id has 1 to {MAX_ID_BYTES} UTF-8 bytes, this one has {len(text)}",
            got_bytes=len(text),
        )
    if type(value) is int:
        if 0 <= value <= _MAX_INTEGER:
            return _INTEGER + value.to_bytes(8, "big")
        # Python refuses to write out integers of thousands of digits.
        got = value if value.bit_length() <= 128 else f"one of {value.bit_length()} bits"
        raise InvalidId(f"an integer id is between 0 and 2^64 - 1, got {got}")
    raise InvalidId(f"an id is a string, a UUID or an unsigned 64-bit integer, got {kind_of(value)}")


def decode_id(encoded: bytes) -> PointId:
    """Return the id as a user sees it. Raises InvalidId for bytes that `encode_id` never makes."""
    tag, body = encoded[:1], encoded[1:]
    if tag == _UUID and len(body) == 16:
        text = body.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    if tag == _STRING and 0 < len(body) <= MAX_ID_BYTES:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise InvalidId("a stored string id is not UTF-8") from None
        if len(text) == 36 and _UUID_FORM.fullmatch(text):
            raise InvalidId("a stored string id has the form of a UUID")
        return text
    if tag == _INTEGER and len(body) == 8:
        return int.from_bytes(body, "big")
    raise InvalidId(f"{encoded[:16].hex()} is not the stored form of an id")


def check_id(encoded: bytes) -> None:
    """Raises InvalidId for bytes that `encode_id` never makes, without a look at what most ids can't lack."""
    size, tag = len(encoded), encoded[:1]
    if not ((tag == _UUID and size == 17) or (tag == _INTEGER and size == 9)):
        decode_id(encoded)


def are_of_fixed_size(ids: Sequence[bytes]) -> bool:
    """Whether all are UUIDs, or all integers, as `encode_id` makes them: all at once, a tenth of the cost."""
    joined = b"".join(ids)
    for tag, size in ((_UUID, 17), (_INTEGER, 9)):
        if len(joined) == size * len(ids) and joined[::size].count(tag) == len(ids):
            return set(map(len, ids)) == {size}
    return False


def hash_of(encoded: bytes) -> int:
    """xxh3_64 of the encoded id: its place in scroll order and, modulo SLOTS, its slot."""
    return xxhash.xxh3_64_intdigest(encoded)


def slot_of(encoded: bytes) -> int:
    """Return the virtual partition, 0 to SLOTS - 1, of an encoded id."""
    return xxhash.xxh3_64_intdigest(encoded) % SLOTS
