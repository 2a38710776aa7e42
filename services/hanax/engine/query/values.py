"""The values of one metadata field over all points that match: by the metadata indexes, or decoded.

Rows that the indexes don't tell of, or not in the form that is needed, are decoded one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from hanax.core.field_values import Path, canonical, reader_of, scalars_of
from hanax.core.filters import Scalar
from hanax.engine.filters.columns import PathColumns
from hanax.engine.segment.masks import Flags, flags_of
from hanax.engine.segment.protocol import Rows
from hanax.engine.segment.view import SegmentView

# Metadata that are decoded at a time, so that a large segment's are never all in memory.
_RUN: Final = 4_096
_NUMBERS: Final = ("ints", "bigs", "floats")
_LITERALS: Final[dict[str, Scalar]] = {"false": False, "true": True, "null": None}


class Told(NamedTuple):
    """Columns of consecutive rows from `base`, and which of those rows are asked for: bool[n]."""

    base: int
    columns: PathColumns
    flags: Flags


class Divided(NamedTuple):
    """Each allowed row is in one of them. bool[rows of the segment]: absent, those without the field; decode,
    those of which no columns tell.
    """

    told: list[Told]
    absent: Flags
    decode: Flags


def divide(
    part: SegmentView, path: Path, allowed: Flags, is_usable: Callable[[PathColumns], bool]
) -> Divided:
    """Which of the allowed rows can be read from columns."""
    name = ".".join(path)
    decode = allowed.copy()
    absent = np.zeros(len(allowed), np.bool_)
    told = []
    for indexed in part.segment.metadata_indexes(part.rows):
        base, index = indexed.base, indexed.index
        here = slice(base, base + index.rows)
        columns = index.columns(name)
        if columns is None:
            if index.is_absent(name):
                decode[here] = False
                absent[here] = allowed[here]
        elif is_usable(columns):
            decode[here] &= flags_of_set(columns, "rest")
            told.append(Told(base, columns, allowed[here] & ~decode[here]))
    return Divided(told, absent, decode)


def flags_of_set(columns: PathColumns, kind: str) -> Flags:
    """bool[n] of a set of rows; none where no row is in it."""
    rows = columns.sets.get(kind)
    if rows is None:
        return np.zeros(columns.segment_rows, np.bool_)
    return flags_of(rows.words(), columns.segment_rows)


def decoded_values(part: SegmentView, path: Path, flags: Flags) -> Iterator[tuple[Rows, list[Any]]]:
    """Runs of these rows, int64[n], and the field's value or MISSING of each."""
    rows, read = np.flatnonzero(flags), reader_of(path)
    for first in range(0, len(rows), _RUN):
        run = rows[first : first + _RUN]
        yield run, [read(orjson.loads(blob)) for blob in part.segment.metadata(run)]


def counted_values(part: SegmentView, path: Path, allowed: Flags) -> Iterator[tuple[Scalar, int]]:
    """Values among the allowed rows, and how many rows have each; a value may come several times."""
    divided = divide(part, path, allowed, _tells_counts)
    for _, columns, flags in divided.told:
        yield from _counted(columns, flags)
    for _, values in decoded_values(part, path, divided.decode):
        for value in values:
            # As JSON, true and 1 are two.
            for raw in {orjson.dumps(scalar) for scalar in scalars_of(value)}:
                yield orjson.loads(raw), 1


def _tells_counts(columns: PathColumns) -> bool:
    """Not where one row may have 2 and 2.0, which are one value."""
    return columns.single or sum(kind in columns.postings for kind in _NUMBERS) < 2


def _counted(columns: PathColumns, flags: Flags) -> Iterator[tuple[Scalar, int]]:
    for kind in (*_NUMBERS, "texts"):
        postings = columns.postings.get(kind)
        if postings is None:
            continue
        counts = np.add.reduceat(flags[postings.rows], postings.starts[:-1], dtype=np.int64)
        groups = np.flatnonzero(counts)
        for group, count in zip(groups.tolist(), counts[groups].tolist(), strict=True):
            if kind == "texts":
                yield columns.strings[kind][group].decode(), count
            else:
                yield canonical(columns.values[kind][group]), count
    for kind, literal in _LITERALS.items():
        count = int(np.count_nonzero(flags & flags_of_set(columns, kind)))
        if count:
            yield literal, count
