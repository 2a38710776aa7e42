"""Cursors: where a page ended, opaque to users, bound to one life of a collection and to what was asked."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import orjson
import xxhash

from hanax.core.errors import HanaxError, InvalidCursor, InvalidId
from hanax.core.field_order import TEXT_KEY, key_from_json
from hanax.core.field_values import value_from_json
from hanax.core.ids import decode_id
from hanax.core.limits import MAX_ID_BYTES, MAX_METADATA_BYTES

# By id; by a field; by the values of a field.
_IDS: Final = b"\x01"
_ORDERED: Final = b"\x02"
_VALUES: Final = b"\x03"
_HASH_BYTES: Final = 8
# Version, hash of the uid, tag and text of the id, checksum.
_MOST_FOR_IDS: Final = 1 + _HASH_BYTES + 1 + MAX_ID_BYTES + _HASH_BYTES
# JSON may write a character as six bytes, or as four of UTF-8; a list of two goes around it.
_MOST_FOR_ORDERED: Final = _MOST_FOR_IDS + _HASH_BYTES + 2 + 6 * TEXT_KEY + 16
_MOST_FOR_VALUES: Final = 1 + 3 * _HASH_BYTES + MAX_METADATA_BYTES
_KEY_LENGTH: Final = 2


class OrderedStart(NamedTuple):
    """The JSON of a point's key in an order by a field, and its encoded id. Empty: from the first point."""

    key: bytes
    id: bytes


def encode_cursor(uid: str, last_id: bytes) -> str:
    """The cursor after the encoded id `last_id` in the collection with this uid."""
    return _seal(_IDS, uid, last_id)


def decode_cursor(cursor: str, uid: str) -> bytes:
    """The encoded id that `encode_cursor` was given. Raises InvalidCursor."""
    last_id = _open(cursor, _IDS, uid, _MOST_FOR_IDS)
    try:
        decode_id(last_id)
    except InvalidId:
        raise _foreign() from None
    return last_id


def encode_ordered(uid: str, order: str, last: OrderedStart) -> str:
    """The cursor after this point. order: tells one order from another."""
    length = len(last.key).to_bytes(_KEY_LENGTH, "big")
    return _seal(_ORDERED, uid, _fingerprint(order.encode()) + length + last.key + last.id)


def decode_ordered(cursor: str, uid: str, order: str) -> OrderedStart:
    """What `encode_ordered` was given. Raises InvalidCursor, also for the cursor of another order."""
    rest = _open_named(cursor, _ORDERED, uid, order, _MOST_FOR_ORDERED)
    end = _KEY_LENGTH + int.from_bytes(rest[:_KEY_LENGTH], "big")
    key, last_id = rest[_KEY_LENGTH:end], rest[end:]
    try:
        key_from_json(key)
        decode_id(last_id)
    except HanaxError:
        raise _foreign() from None
    return OrderedStart(key, last_id)


def encode_value_cursor(uid: str, field: str, last: bytes) -> str:
    """The cursor after the value with the JSON `last`. A long text is written in it whole."""
    return _seal(_VALUES, uid, _fingerprint(field.encode()) + last)


def decode_value_cursor(cursor: str, uid: str, field: str) -> bytes:
    """The JSON that `encode_value_cursor` was given. Raises InvalidCursor."""
    value = _open_named(cursor, _VALUES, uid, field, _MOST_FOR_VALUES)
    try:
        return orjson.dumps(value_from_json(value))
    except HanaxError:
        raise _foreign() from None


def _seal(kind: bytes, uid: str, content: bytes) -> str:
    body = kind + _fingerprint(uid.encode()) + content
    return urlsafe_b64encode(body + _fingerprint(body)).decode().rstrip("=")


def _open(cursor: str, kind: bytes, uid: str, most_bytes: int) -> bytes:
    try:
        if len(cursor) > 2 * most_bytes:
            raise ValueError
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        raise _foreign() from None
    body, checksum = raw[:-_HASH_BYTES], raw[-_HASH_BYTES:]
    if body[:1] not in (_IDS, _ORDERED, _VALUES) or checksum != _fingerprint(body):
        raise _foreign()
    if body[:1] != kind:
        raise InvalidCursor("the cursor belongs to pages in another order")
    if body[1 : 1 + _HASH_BYTES] != _fingerprint(uid.encode()):
        raise InvalidCursor("the cursor belongs to another collection, or to an earlier one of this name")
    return body[1 + _HASH_BYTES :]


def _open_named(cursor: str, kind: bytes, uid: str, name: str, most_bytes: int) -> bytes:
    content = _open(cursor, kind, uid, most_bytes)
    if content[:_HASH_BYTES] != _fingerprint(name.encode()):
        raise InvalidCursor("the cursor belongs to pages by another field, or in another direction")
    return content[_HASH_BYTES:]


def _foreign() -> InvalidCursor:
    return InvalidCursor("expected a cursor as an earlier page returned it")


def _fingerprint(data: bytes) -> bytes:
    return xxhash.xxh3_64_digest(data)
