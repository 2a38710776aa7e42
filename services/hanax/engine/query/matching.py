"""Which live rows of a segment match an expression: by its metadata indexes, and by looking at the rest.

A segment's rows are covered by indexes from row 0 on; those behind the last, and those of which the columns
don't tell, are decoded and evaluated one by one, after everything else has left as few as it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hanax.core.filters import And, Condition, Filter, MinShould, Not, Operator, Or
from hanax.engine.filters.bitmaps import Bounds, Estimate, Node
from hanax.engine.filters.columns import every_row, word_count
from hanax.engine.filters.conditions import resolve
from hanax.engine.filters.evaluation import compile_filter, matching_rows
from hanax.engine.index.protocol import Mask
from hanax.engine.kernels.rows import add_rows
from hanax.engine.segment.masks import count_rows, rows_in
from hanax.engine.segment.protocol import Rows
from hanax.engine.segment.view import SegmentView, hash_ids

# Rows whose metadata are in memory at a time.
_RUN = 4_096


class Matching:
    """One expression asked of one segment. Nothing is evaluated before `mask` is called."""

    __slots__ = ("_covered", "_expression", "_ids", "_nodes", "_part")

    def __init__(self, part: SegmentView, expression: Filter) -> None:
        self._part = part
        self._expression = expression
        self._ids: dict[tuple[bytes, ...], Rows] = {}
        self._nodes: list[tuple[int, Node]] = []
        self._covered = 0
        for indexed in part.segment.metadata_indexes(part.rows):
            base, index = indexed.base, indexed.index
            rows_of_ids = partial(self._rows_of_ids, base, base + index.rows)
            self._nodes.append((base, resolve(expression, index, rows_of_ids)))
            self._covered = base + index.rows

    @property
    def estimate(self) -> Estimate:
        """How many live rows match."""
        part = self._part
        known = [node.estimate for _, node in self._nodes]
        if len(known) == 1 and not part.dead and self._covered == part.rows:
            return known[0]
        unread = max(0, part.rows - self._covered)
        # Rows that are dead, or that this picture does not have yet.
        others = len(part.dead) + max(0, self._covered - part.rows)
        least = max(0, sum(one.least for one in known) - others)
        most = min(part.live_count, sum(one.most for one in known) + unread)
        expected = sum(one.expected for one in known) + unread / 2
        if part.rows:
            expected *= part.live_count / part.rows
        return Estimate(least, min(max(expected, least), most), most)

    def mask(self) -> Mask:
        """The live rows that match; whoever gets it does not change it."""
        part = self._part
        live = part.live_mask
        if len(self._nodes) == 1 and self._covered == part.rows:
            node = self._nodes[0][1]
            bounds = node.bounds()
            if bounds.exact and live is None:
                known = node.estimate
                count = known.most if known.least == known.most else count_rows(bounds.lower)
                return Mask(bounds.lower, count)
        else:
            bounds = self._joined()
        if bounds.exact:
            assert live is not None
            words = bounds.lower & live.words
            return Mask(words, count_rows(words))
        unsure = bounds.upper & ~bounds.lower
        # A copy, that more rows are added to.
        words = bounds.lower | np.uint64(0)
        if live is not None:
            unsure &= live.words
            words &= live.words
        self._evaluate(rows_in(unsure, count_rows(unsure)), words)
        return Mask(words, count_rows(words))

    def _joined(self) -> Bounds:
        """Of all indexes, one behind the other; rows behind them may match."""
        rows = self._part.rows
        words = word_count(max(rows, self._covered))
        lower, upper = np.zeros(words, np.uint64), np.zeros(words, np.uint64)
        for base, node in self._nodes:
            known = node.bounds()
            here = slice(base // 64, base // 64 + len(known.lower))
            lower[here], upper[here] = known.lower, known.upper
        if self._covered > rows:
            every = every_row(rows)
            return Bounds(lower[: len(every)] & every, upper[: len(every)] & every)
        add_rows(np.arange(self._covered, rows, dtype=np.uint32), upper)
        return Bounds(lower, upper)

    def _evaluate(self, rows: Rows, words: NDArray[np.uint64]) -> None:
        segment, predicate = self._part.segment, compile_filter(self._expression)
        for first in range(0, len(rows), _RUN):
            run = rows[first : first + _RUN]
            flags = matching_rows(predicate, segment.metadata(run), segment.ids(run))
            add_rows(run[flags].astype(np.uint32), words)

    def _rows_of_ids(self, first: int, after: int, ids: tuple[bytes, ...]) -> NDArray[np.uint32]:
        """Those from `first` up to `after`, counted from `first`."""
        rows = self._ids.get(ids)
        if rows is None:
            rows = np.unique(self._part.segment.find(ids, hash_ids(ids), self._part.rows))
            self._ids[ids] = rows
        return (rows[(rows >= first) & (rows < after)] - first).astype(np.uint32)


def conditions_of(expression: Filter) -> Iterator[Condition]:
    """All conditions, from left to right."""
    match expression:
        case Condition():
            yield expression
        case And(children) | Or(children) | MinShould(children, _):
            for child in children:
                yield from conditions_of(child)
        case Not(child):
            yield from conditions_of(child)


def unknown_fields(part: SegmentView, expression: Filter) -> frozenset[str]:
    """Fields of the expression that no live row has. It may look at all rows: for explanations."""
    paths = {
        condition.path for condition in conditions_of(expression) if condition.operator is not Operator.HAS_ID
    }
    return frozenset(".".join(path) for path in paths if not _is_there(part, path))


def _is_there(part: SegmentView, path: tuple[str, ...]) -> bool:
    return Matching(part, Condition(path, Operator.EXISTS, True)).mask().count > 0
