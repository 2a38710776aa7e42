"""Scroll cursors: the last point of a page, opaque to users, bound to one life of a collection."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import xxhash

from hanax.core.errors import InvalidCursor, InvalidId
from hanax.core.ids import decode_id
from hanax.core.limits import MAX_ID_BYTES

_VERSION: Final = b"\x01"
# Version, hash of the uid, tag and text of the id, checksum.
_MAX_BYTES: Final = 1 + 8 + 1 + MAX_ID_BYTES + 8


def encode_cursor(uid: str, last_id: bytes) -> str:
    """The cursor after the encoded id `last_id` in the collection with this uid."""
    body = _VERSION + _fingerprint(uid.encode()) + last_id
    return urlsafe_b64encode(body + _fingerprint(body)).decode().rstrip("=")


def decode_cursor(cursor: str, uid: str) -> bytes:
    """The encoded id that `encode_cursor` was given. Raises InvalidCursor."""
    try:
        if len(cursor) > 2 * _MAX_BYTES:
            raise ValueError
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        body, checksum = raw[:-8], raw[-8:]
        if body[:1] != _VERSION or checksum != _fingerprint(body):
            raise ValueError
        last_id = body[9:]
        decode_id(last_id)
    except (ValueError, InvalidId):
        raise InvalidCursor("expected a cursor as an earlier page returned it") from None
    if body[1:9] != _fingerprint(uid.encode()):
        raise InvalidCursor("the cursor belongs to another collection, or to an earlier one of this name")
    return last_id


def _fingerprint(data: bytes) -> bytes:
    return xxhash.xxh3_64_digest(data)
