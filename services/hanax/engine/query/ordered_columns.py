"""The first rows of a segment in the order of a field, from its metadata index: no row is decoded.

`hanax.core.field_order` tells the order. A row with an array has several entries, of which the first in the
order's direction decides.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.field_order import DATE, FLAG, NONE, NUMBER, TEXT, TEXT_KEY, Key
from hanax.core.field_values import canonical
from hanax.engine.filters.columns import PathColumns, Postings
from hanax.engine.query.values import Told, flags_of_set
from hanax.engine.segment.masks import Flags
from hanax.engine.segment.protocol import Rows

_NUMBERS: Final = ("ints", "bigs", "floats")


class Wanted(NamedTuple):
    """All rows of the key `start`, and at least the first `most` behind it; None: from the first."""

    start: Key | None
    descending: bool
    most: int


def tells_order(columns: PathColumns) -> bool:
    """Numbers of several kinds would have to be merged, and long texts to be cut."""
    if "rest" in columns.sets or sum(kind in columns.postings for kind in _NUMBERS) > 1:
        return False
    ends = columns.array("texts.ends")
    if ends is None:
        return True
    # No text has more characters than bytes.
    return columns.dated and int(np.diff(ends, prepend=np.uint64(0)).max()) <= TEXT_KEY


def first_rows(told: Told, wanted: Wanted) -> Iterator[tuple[Key, Rows]]:
    """Rows by key, in order; all rows of a key come together. Rows count from the segment's first."""
    found = 0
    for key, rows in _by_key(told, wanted):
        yield key, rows.astype(np.int64) + told.base
        found += len(rows) if key != wanted.start else 0
        if found >= wanted.most:
            return


def _by_key(told: Told, wanted: Wanted) -> Iterator[tuple[Key, NDArray[Any]]]:
    columns, flags = told.columns, told.flags
    # Rows with a value that counts: the others are last.
    seen = np.zeros(len(flags), np.bool_)
    # Texts last: dates are texts too.
    for number, kind in (*((NUMBER, kind) for kind in _NUMBERS), (DATE, "instants"), (TEXT, "texts")):
        if kind in columns.postings:
            yield from _of_values(number, kind, columns, flags & ~seen, wanted)
            seen[columns.postings[kind].rows] = True
    for value in (1, 0) if wanted.descending else (0, 1):
        rows = flags_of_set(columns, "true" if value else "false")
        yield from _of_flags(Key(FLAG, value), rows & flags & ~seen, wanted)
        seen |= rows
    yield from _of_flags(Key(NONE, 0), flags & ~seen, wanted)


def _of_values(
    number: int, kind: str, columns: PathColumns, flags: Flags, wanted: Wanted
) -> Iterator[tuple[Key, NDArray[Any]]]:
    """Keys of one kind with their rows. flags: of rows that have no key of a kind before."""
    start, descending = wanted.start, wanted.descending
    if start is not None and start.kind > number:
        return
    postings = columns.postings[kind]
    # Ascending: bytes of texts, or numbers.
    values: Any = columns.strings[kind] if kind == "texts" else columns.values[kind]

    def key_at(group: int) -> Key:
        return Key(number, values[group].decode() if kind == "texts" else canonical(values[group]))

    allowed = flags[postings.rows]
    if not columns.single:
        allowed &= _decides(postings.rows, descending)
    first, after = 0, postings.groups
    if start is not None and start.kind == number:
        value = start.value.encode() if kind == "texts" else start.value
        at, behind = bisect_left(values, value), bisect_right(values, value)
        for group in range(at, behind):
            here = slice(int(postings.starts[group]), int(postings.starts[group + 1]))
            yield start, postings.rows[here][allowed[here]]
        first, after = (0, at) if descending else (behind, after)
    for group, rows in _first_groups(postings, allowed, (first, after), wanted):
        yield key_at(group), rows


def _first_groups(
    postings: Postings, allowed: Flags, groups: tuple[int, int], wanted: Wanted
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Of the groups from the first up to the second: those that hold the first `most` rows, in order.

    allowed: which entries count, bool[entries].
    """
    first, after = groups
    begin, end = int(postings.starts[first]), int(postings.starts[after])
    entries = np.flatnonzero(allowed[begin:end]) + begin
    # Whole groups, so that ids can decide among equal keys.
    if len(entries) > wanted.most:
        last = entries[-wanted.most if wanted.descending else wanted.most - 1]
        group = int(np.searchsorted(postings.starts, last, side="right")) - 1
        if wanted.descending:
            entries = entries[entries >= postings.starts[group]]
        else:
            entries = entries[entries < postings.starts[group + 1]]
    owners = np.searchsorted(postings.starts, entries, side="right") - 1
    found, places = np.unique(owners, return_index=True)
    runs = np.split(entries, places[1:])
    order = range(len(found))
    for place in reversed(order) if wanted.descending else order:
        yield int(found[place]), postings.rows[runs[place]]


def _decides(rows: NDArray[np.uint32], descending: bool) -> Flags:
    """Of entries in ascending order: which is its row's first in this direction. bool[entries]."""
    places = np.arange(len(rows))
    deciding = np.empty(int(rows.max()) + 1, np.int64)
    # Of several assignments to one place, the last stays.
    if descending:
        deciding[rows] = places
    else:
        deciding[rows[::-1]] = places[::-1]
    decides: Flags = deciding[rows] == places
    return decides


def _of_flags(key: Key, flags: Flags, wanted: Wanted) -> Iterator[tuple[Key, NDArray[Any]]]:
    start = wanted.start
    if start is not None and key.kind < start.kind:
        return
    if start is not None and key.kind == start.kind:
        before = key.value > start.value if wanted.descending else key.value < start.value
        if before:
            return
    rows = np.flatnonzero(flags)
    if len(rows):
        yield key, rows
