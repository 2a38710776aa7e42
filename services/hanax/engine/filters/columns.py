"""What a segment's rows have at one dotted path, as arrays that are searched without decoding.

Values of one type are sorted and distinct, each with the rows that hold it (`Postings`). Properties that
a row has or has not are sets of rows (`RowSet`). Both lie in arrays that are saved and mapped as they are;
an array's dtype tells its encoding. A set of rows is handed out as a bitmap: uint64[ceil(n / 64)], bit i of
word w is row 64 w + i, bits past the last row are zero. Bitmaps may lie in mapped files: nobody changes
one that was handed out.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hanax.engine.kernels.rows import add_groups, add_rows

Arrays = Mapping[str, NDArray[Any]]
Words = NDArray[np.uint64]
# Places in a sorted list of distinct values.
Groups = NDArray[np.uint32]

# A value in more than this part of the rows has a bitmap of its own.
WIDE_SHARE: Final = 1 / 64
# Bitmaps of that kind for one type of value at one path.
MOST_WIDE: Final = 64
# A set with more than this part of the rows is kept as a bitmap: as rows it would be larger.
_DENSE_SHARE: Final = 1 / 32


def word_count(rows: int) -> int:
    return (rows + 63) >> 6


def every_row(rows: int) -> Words:
    """The bitmap of all rows."""
    words = np.full(word_count(rows), 0xFFFF_FFFF_FFFF_FFFF, np.uint64)
    if rows & 63:
        words[-1] = np.uint64((1 << (rows & 63)) - 1)
    return words


def bitmap_of(rows: NDArray[np.uint32], segment_rows: int) -> Words:
    words = np.zeros((segment_rows + 63) >> 6, np.uint64)
    add_rows(rows, words)
    return words


class RowSet:
    """Rows with a property. `array`: the rows, uint32, or their bitmap, uint64."""

    __slots__ = ("_array", "_rows", "count")

    def __init__(self, array: NDArray[Any], count: int, segment_rows: int) -> None:
        self._array = array
        self.count = count
        self._rows = segment_rows

    def words(self) -> Words:
        if self.count == self._rows:
            return every_row(self._rows)
        if self._array.dtype == np.uint64:
            return self._array
        return bitmap_of(self._array, self._rows)


def row_set_array(rows: NDArray[np.uint32], segment_rows: int) -> NDArray[Any]:
    """The array of a RowSet; `rows` are distinct. Empty where all rows are in it."""
    if len(rows) == segment_rows:
        return np.empty(0, np.uint32)
    return bitmap_of(rows, segment_rows) if len(rows) > _DENSE_SHARE * segment_rows else rows


class Postings:
    """Groups of rows: group g is rows[starts[g] : starts[g + 1]]. per_row: most groups that hold one row."""

    def __init__(self, arrays: Arrays, kind: str, segment_rows: int, per_row: int) -> None:
        self.starts: NDArray[np.uint32] = arrays[f"{kind}.starts"]
        self.rows: NDArray[np.uint32] = arrays[f"{kind}.rows"]
        self.per_row = per_row
        self._segment_rows = segment_rows
        wide = arrays[f"{kind}.wide"]
        self._wide = {int(group): number for number, group in enumerate(wide)}
        self._wide_words = arrays[f"{kind}.wide_words"].reshape(len(wide), word_count(segment_rows))
        # Indexing an array makes an object each time, which takes three times as long.
        self._starts = self.starts.data

    @property
    def groups(self) -> int:
        return len(self._starts) - 1

    def size(self, first: int, after: int) -> int:
        """Entries of the groups from `first` up to `after`."""
        return int(self._starts[after] - self._starts[first])

    def words(self, first: int, after: int) -> Words:
        """Rows of the groups from `first` up to `after`."""
        if after - first == 1 and (number := self._wide.get(first)) is not None:
            row: Words = self._wide_words[number]
            return row
        words = np.zeros((self._segment_rows + 63) >> 6, np.uint64)
        add_rows(self.rows[self._starts[first] : self._starts[after]], words)
        return words

    def add_to(self, words: Words, first: int, after: int) -> None:
        """As `words`, into a bitmap of the caller's."""
        if after - first == 1 and (number := self._wide.get(first)) is not None:
            words |= self._wide_words[number]
        else:
            add_rows(self.rows[self._starts[first] : self._starts[after]], words)

    def union(self, groups: Groups) -> Words:
        words = np.zeros((self._segment_rows + 63) >> 6, np.uint64)
        add_groups(groups, self.starts, self.rows, words)
        return words


def postings_arrays(
    kind: str, groups: int, by_entry: Groups, rows: NDArray[np.uint32], segment_rows: int
) -> dict[str, NDArray[Any]]:
    """The arrays of Postings. by_entry: the group of each entry, ascending; rows: its row."""
    sizes = np.bincount(by_entry, minlength=groups)
    starts = np.zeros(groups + 1, np.uint32)
    np.cumsum(sizes, out=starts[1:])
    wide = np.flatnonzero(sizes > max(64, WIDE_SHARE * segment_rows))
    if len(wide) > MOST_WIDE:
        wide = np.sort(wide[np.argsort(-sizes[wide], kind="stable")[:MOST_WIDE]])
    words = [bitmap_of(rows[starts[group] : starts[group + 1]], segment_rows) for group in wide.tolist()]
    return {
        f"{kind}.starts": starts,
        f"{kind}.rows": rows,
        f"{kind}.wide": wide.astype(np.uint32),
        f"{kind}.wide_words": np.concatenate(words) if words else np.empty(0, np.uint64),
    }


class Strings:
    """Distinct byte strings, ascending, one behind the other."""

    def __init__(self, arrays: Arrays, kind: str) -> None:
        self._ends: NDArray[np.uint64] = arrays[f"{kind}.ends"]
        self._bytes: NDArray[np.uint8] = arrays[f"{kind}.bytes"]
        self._end_of = self._ends.data
        self._data = self._bytes.data

    def __len__(self) -> int:
        return len(self._end_of)

    def __getitem__(self, place: int) -> bytes:
        return bytes(self._data[self._end_of[place - 1] if place else 0 : self._end_of[place]])

    def prefixed(self, prefix: bytes) -> tuple[int, int]:
        """Places of the strings that begin with it: first, after. UTF-8 has no byte 255."""
        if not prefix:
            return 0, len(self)
        behind = prefix[:-1] + bytes([prefix[-1] + 1])
        first = bisect_left(self, prefix)
        return first, bisect_left(self, behind, first)

    def ending_in(self, suffix: bytes) -> Groups:
        """Places of the strings that end in it. The shorter are passed over by one comparison of arrays."""
        ends = self._ends.astype(np.int64)
        places = np.flatnonzero(np.diff(ends, prepend=0) >= len(suffix))
        # Byte after byte from the last: each leaves fewer.
        for back, byte in enumerate(reversed(suffix), 1):
            places = places[self._bytes[ends[places] - back] == byte]
        return places.astype(np.uint32)

    def containing(self, part: bytes) -> Groups:
        """Places of the strings with this part, not empty. O(bytes)."""
        # Looked for ahead, so that an occurrence across two strings does not hide one inside the second.
        pattern = re.compile(b"(?=" + re.escape(part) + b")")
        found = np.fromiter((match.start() for match in pattern.finditer(self._data)), np.uint64)
        places = np.searchsorted(self._ends, found, side="right")
        inside = found + np.uint64(len(part)) <= self._ends[places] if len(found) else np.empty(0, np.bool_)
        return np.unique(places[inside]).astype(np.uint32)


def string_arrays(kind: str, strings: list[bytes]) -> dict[str, NDArray[Any]]:
    """The arrays of Strings."""
    ends = np.cumsum(np.fromiter(map(len, strings), np.uint64, len(strings)), dtype=np.uint64)
    return {f"{kind}.ends": ends, f"{kind}.bytes": np.frombuffer(b"".join(strings), np.uint8)}


_SETS: Final = ("there", "null", "void", "arrays", "true", "false", "rest")
_POSTINGS: Final = ("ints", "bigs", "floats", "texts", "instants", "counts")
_STRINGS: Final = ("texts", "words")


class PathColumns:
    """All that is known of one path, made of its arrays when it is first asked for.

    sets: there; null; void (null, [], "" or {}); arrays; true; false; rest (rows whose value is not in the
    columns, or not all of it). postings: ints; bigs (above 2^63 - 1); floats; texts; instants (of date
    texts); counts (of values, where not 1). values: of the postings of numbers, ascending; read as Python's
    numbers, so that comparisons are exact. What no row has is missing in each.
    """

    def __init__(self, arrays: Arrays, facts: Mapping[str, int], segment_rows: int) -> None:
        self.segment_rows = segment_rows
        self.sets = {kind: RowSet(arrays[kind], facts[kind], segment_rows) for kind in _SETS if kind in facts}
        self.postings = {
            kind: Postings(arrays, kind, segment_rows, facts.get(f"{kind}.per_row", 1))
            for kind in _POSTINGS
            if f"{kind}.starts" in arrays
        }
        self.values = {
            kind: arrays[f"{kind}.values"].data for kind in _POSTINGS if f"{kind}.values" in arrays
        }
        self.strings = {kind: Strings(arrays, kind) for kind in _STRINGS if f"{kind}.ends" in arrays}
        # Whether the instants of date texts are known, and whether texts are cut into words.
        self.dated = bool(facts.get("dated"))
        self.worded = bool(facts.get("worded"))
        # No row has an array here.
        self.single = "arrays" not in facts
        self._arrays = arrays

    def array(self, name: str) -> NDArray[Any] | None:
        """points.latitudes, points.longitudes, points.rows; dateless; words.starts, words.texts."""
        return self._arrays.get(name)
