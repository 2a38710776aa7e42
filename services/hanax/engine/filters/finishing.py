"""From what was collected at one path to its sorted columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hanax.core.times import instant_of
from hanax.core.words import words_of
from hanax.engine.filters.columns import postings_arrays, row_set_array, string_arrays

Rows = NDArray[np.uint32]

# Strings that are sorted in one go: some milliseconds.
_PIECE: Final = 16_384

# Which types a pinned path takes into its columns. Rows with others go to `rest`.
_PINNED_TYPES: Final[dict[str, frozenset[type]]] = {
    "keyword": frozenset({str}),
    "text": frozenset({str}),
    "datetime": frozenset({str}),
    "integer": frozenset({int}),
    "float": frozenset({int, float}),
    "bool": frozenset({bool}),
    "geo": frozenset({dict}),
}
_EVERY_TYPE: Final = frozenset({str, int, float, bool, dict})


class PathValues:
    """What was seen at one path so far: pieces that are put together at the end."""

    def __init__(self, pin: str) -> None:
        self.pin = pin
        self.types = _PINNED_TYPES.get(pin, _EVERY_TYPE)
        self.pieces: defaultdict[str, list[tuple[NDArray[Any], Rows]]] = defaultdict(list)
        self.marks: defaultdict[str, list[Rows]] = defaultdict(list)
        self.ordinals: defaultdict[str, int] = defaultdict(count().__next__)
        self.bytes = 0

    def mark(self, kind: str, rows: Rows) -> None:
        """Rows with a property; a row may be named again."""
        self.marks[kind].append(rows)
        self.bytes += rows.nbytes

    def add(self, kind: str, values: NDArray[Any], rows: Rows) -> None:
        self.pieces[kind].append((values, rows))
        self.bytes += values.nbytes + rows.nbytes


def finish_path(
    path: PathValues, segment_rows: int, check: Callable[[], None]
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """The path's arrays, and the numbers that go with them (`hanax.engine.filters.columns.PathColumns`).

    check: called often; what it raises ends the work.
    """
    finish = _Finish(segment_rows, bool(path.marks.get("arrays")), check)
    for kind, marked in path.marks.items():
        finish.add_rows(kind, np.unique(np.concatenate(marked)))
    for kind in ("counts", "ints", "bigs", "floats"):
        check()
        if pieces := path.pieces.pop(kind, None):
            finish.add_values(kind, *_joined(pieces))
    if pieces := path.pieces.pop("texts", None):
        finish.add_texts(path, *_joined(pieces))
    if pieces := path.pieces.pop("points", None):
        finish.add_points(*_joined(pieces))
    return finish.arrays, finish.facts


def _joined(pieces: list[tuple[NDArray[Any], Rows]]) -> tuple[NDArray[Any], Rows]:
    return np.concatenate([values for values, _ in pieces]), np.concatenate([rows for _, rows in pieces])


class _Finish:
    """several: a row may have several values, and the same twice."""

    def __init__(self, segment_rows: int, several: bool, check: Callable[[], None]) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self.facts: dict[str, int] = {}
        self._segment_rows = segment_rows
        self._several = several
        self._check = check

    def add_rows(self, kind: str, rows: Rows) -> None:
        if len(rows):
            self.arrays[kind] = row_set_array(rows, self._segment_rows)
            self.facts[kind] = len(rows)

    def add_values(self, kind: str, values: NDArray[Any], rows: Rows) -> None:
        if not len(rows):
            return
        order = self._order(values, rows)
        values, rows = values[order], rows[order]
        fresh = np.append(True, values[1:] != values[:-1])
        self.arrays[f"{kind}.values"] = values[fresh]
        self._add_postings(kind, np.cumsum(fresh, dtype=np.uint32) - np.uint32(1), rows)

    def add_texts(self, path: PathValues, codes: NDArray[np.uint32], rows: Rows) -> None:
        if not len(rows):
            return
        # Python sorts text by code point, which is the order of its UTF-8 bytes.
        texts = self._sorted(path.ordinals)
        groups = self._ranks(texts, path.ordinals)[codes]
        path.ordinals.clear()
        self.arrays.update(string_arrays("texts", [text.encode() for text in texts]))
        order = self._order(groups, rows)
        groups, rows = groups[order], rows[order]
        self._add_postings("texts", groups, rows)
        if path.pin in ("", "datetime"):
            self.facts["dated"] = 1
            self._add_instants(texts, groups, rows)
        if path.pin == "text":
            self.facts["worded"] = 1
            self._add_words(texts)

    def add_points(self, points: NDArray[np.float64], rows: Rows) -> None:
        """points: float64[n, 2], latitude and longitude. By latitude, so that a band of it is one piece."""
        order = np.lexsort((rows, points[:, 1], points[:, 0]))
        self.arrays["points.latitudes"] = np.ascontiguousarray(points[order, 0])
        self.arrays["points.longitudes"] = np.ascontiguousarray(points[order, 1])
        self.arrays["points.rows"] = rows[order]

    def _order(self, values: NDArray[Any], rows: Rows) -> NDArray[np.int64]:
        """By value, then by row. Rows ascend already but for those of arrays."""
        return np.lexsort((rows, values)) if self._several else np.argsort(values, kind="stable")

    def _add_postings(self, kind: str, groups: NDArray[np.uint32], rows: Rows) -> None:
        """groups, rows: of each entry, ascending by both."""
        count = int(groups[-1]) + 1
        if self._several:
            fresh = np.append(True, (groups[1:] != groups[:-1]) | (rows[1:] != rows[:-1]))
            groups, rows = groups[fresh], rows[fresh]
            self.facts[f"{kind}.per_row"] = int(np.unique(rows, return_counts=True)[1].max())
        self.arrays.update(postings_arrays(kind, count, groups, rows, self._segment_rows))

    def _add_instants(self, texts: list[str], groups: NDArray[np.uint32], rows: Rows) -> None:
        dates = [
            (group, instant)
            for group, text in enumerate(texts)
            # The place of the first hyphen of every date.
            if text[4:5] == "-" and (instant := instant_of(text)) is not None
        ]
        if not dates:
            return
        instants = np.zeros(len(texts), np.int64)
        is_date = np.zeros(len(texts), np.bool_)
        dated = [group for group, _ in dates]
        instants[dated] = [instant for _, instant in dates]
        is_date[dated] = True
        here = is_date[groups]
        self.add_values("instants", instants[groups[here]], rows[here])
        # Texts that are no dates are compared by code point, also with a date.
        self.arrays["dateless"] = np.flatnonzero(~is_date).astype(np.uint32)

    def _add_words(self, texts: list[str]) -> None:
        """Each word and the texts that it is in. A phrase is looked for in those."""
        ordinals: defaultdict[str, int] = defaultdict(count().__next__)
        found = [set(words_of(text)) for piece in self._pieces(texts) for text in piece]
        codes = [np.fromiter(map(ordinals.__getitem__, words), np.uint32, len(words)) for words in found]
        owners = np.repeat(np.arange(len(texts), dtype=np.uint32), [len(words) for words in found])
        words = self._sorted(ordinals)
        groups = self._ranks(words, ordinals)[np.concatenate(codes)]
        starts = np.zeros(len(words) + 1, np.uint32)
        np.cumsum(np.bincount(groups, minlength=len(words)), out=starts[1:])
        self.arrays.update(string_arrays("words", [word.encode() for word in words]))
        self.arrays["words.starts"] = starts
        self.arrays["words.texts"] = owners[np.argsort(groups, kind="stable")]

    def _sorted(self, strings: Iterable[str]) -> list[str]:
        """Ascending. Nobody else runs Python code while it sorts or looks up, so it does so in pieces."""
        pieces = [sorted(piece) for piece in self._pieces(list(strings))]
        return pieces[0] if len(pieces) == 1 else list(merge(*pieces))

    def _ranks(self, ordered: list[str], ordinals: dict[str, int]) -> NDArray[np.uint32]:
        """From the number that a string got when it was first seen to its place in the order."""
        ranks = np.empty(len(ordered), np.uint32)
        first = 0
        for piece in self._pieces(ordered):
            numbers = np.fromiter(map(ordinals.__getitem__, piece), np.uint32, len(piece))
            ranks[numbers] = np.arange(first, first + len(piece), dtype=np.uint32)
            first += len(piece)
        return ranks

    def _pieces(self, strings: list[str]) -> Iterator[list[str]]:
        for first in range(0, len(strings), _PIECE):
            self._check()
            yield strings[first : first + _PIECE]
