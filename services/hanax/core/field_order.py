"""The order of points by a metadata field: what `order_by` means, on shards and in merges of them.

A point's key is (kind, value): numbers are kind 0, dates 1, other text 2, false and true 3; what has none of
them is kind 4, always last. A date is RFC 3339 text and stands for its instant in microseconds.
Text counts up to its first TEXT_KEY characters, so that a cursor stays small. Of an array the least element
counts where the order ascends, the greatest where it descends. Descending turns the values around, not
the kinds; equal keys come in the order of their ids.

A page begins behind the key and the id of the last point of the page before. A point whose value does
not change in between is therefore neither repeated nor passed over, whatever is written, also when that
last point itself is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from hanax.core.errors import InvalidCursor
from hanax.core.field_values import canonical
from hanax.core.times import instant_of

TEXT_KEY: Final = 256
NUMBER, DATE, TEXT, FLAG, NONE = range(5)


class Key(NamedTuple):
    """Where a point stands, but for its id."""

    kind: int
    value: Any


class Start(NamedTuple):
    """The last point of the page before."""

    key: Key
    id: bytes


class Entry(NamedTuple):
    """A point, encoded id, and where it lies: a row of the segment, or of the shard's answer, `part`."""

    key: Key
    id: bytes
    part: int
    row: int


def key_of(value: object, descending: bool) -> Key:
    """The key of a field's value, or of MISSING."""
    if type(value) is not list:
        return _key_of_one(value)
    keys = [_key_of_one(item) for item in value]
    kind = min((key.kind for key in keys), default=NONE)
    best = max if descending else min
    return Key(kind, best((key.value for key in keys if key.kind == kind), default=0))


def _key_of_one(value: Any) -> Key:
    if type(value) is bool:
        return Key(FLAG, int(value))
    if type(value) is int or type(value) is float:
        return Key(NUMBER, canonical(value))
    if type(value) is str:
        instant = instant_of(value)
        return Key(TEXT, value[:TEXT_KEY]) if instant is None else Key(DATE, instant)
    return Key(NONE, 0)


def is_behind(key: Key, id_: bytes, start: Start, descending: bool) -> bool:
    """Whether the point belongs to a page that begins at `start`."""
    if key.kind != start.key.kind:
        return key.kind > start.key.kind
    if key.value != start.key.value:
        return bool((key.value < start.key.value) if descending else (key.value > start.key.value))
    return id_ > start.id


def in_order(entries: Iterable[Entry], descending: bool) -> list[Entry]:
    by_kind: dict[int, list[Entry]] = {}
    for entry in entries:
        by_kind.setdefault(entry.key.kind, []).append(entry)
    ordered = []
    for kind in sorted(by_kind):
        same = by_kind[kind]
        # Sorting is stable, also in reverse: ids stay ascending among equal values.
        same.sort(key=lambda entry: entry.id)
        same.sort(key=lambda entry: entry.key.value, reverse=descending)
        ordered.extend(same)
    return ordered


def key_to_json(key: Key) -> bytes:
    return orjson.dumps([key.kind, key.value])


def key_from_json(raw: bytes) -> Key:
    """A key from its JSON. Raises InvalidCursor."""
    try:
        match orjson.loads(raw):
            case [0 | 1 | 3 | 4 as kind, int() | float() as value] if not isinstance(value, bool):
                return Key(int(kind), value)
            case [2, str() as value]:
                return Key(TEXT, value)
    except orjson.JSONDecodeError:
        pass
    raise InvalidCursor("expected the key of a point in this order")
