"""The algebra of filters on bitmaps: what rows an expression holds for, as far as indexes know.

A node tells, before any work, how many rows it holds for at least and at most (`Estimate`), and then which:
those that it holds for in any case, and those that it may hold for (`Bounds`). The two differ where
a condition is not indexed; the rows between them are looked at one by one, by whoever asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.engine.filters.columns import Postings, RowSet, Words, every_row, word_count


class Estimate(NamedTuple):
    """How many rows match: never fewer than `least`, never more than `most`."""

    least: int
    expected: float
    most: int


class Bounds(NamedTuple):
    """Rows that match in any case, and rows that may match; the same object where the answer is exact."""

    lower: Words
    upper: Words

    @property
    def exact(self) -> bool:
        return self.lower is self.upper


# A run of groups of one column: (postings, first, after).
Run = tuple[Postings, int, int]


class Node(ABC):
    """One part of an expression over `rows` rows."""

    __slots__ = ("estimate", "rows")

    def __init__(self, rows: int, estimate: Estimate) -> None:
        self.rows = rows
        self.estimate = estimate

    @abstractmethod
    def bounds(self) -> Bounds: ...


class Constant(Node):
    """Every row, or none."""

    __slots__ = ()

    def __init__(self, rows: int, holds: bool) -> None:
        count = rows if holds else 0
        super().__init__(rows, Estimate(count, count, count))

    def bounds(self) -> Bounds:
        words = every_row(self.rows) if self.estimate.most else np.zeros(word_count(self.rows), np.uint64)
        return Bounds(words, words)


class Unknown(Node):
    """Nothing is known of it."""

    __slots__ = ()

    def __init__(self, rows: int) -> None:
        super().__init__(rows, Estimate(0, rows / 2, rows))

    def bounds(self) -> Bounds:
        return Bounds(np.zeros(word_count(self.rows), np.uint64), every_row(self.rows))


class Chosen(Node):
    """Rows of any of some runs and sets. distinct: no row is in two of them, or in one of them twice."""

    __slots__ = ("_distinct", "_runs", "_sets")

    def __init__(self, rows: int, runs: Sequence[Run], sets: Sequence[RowSet], distinct: bool) -> None:
        self._runs = runs
        self._sets = sets
        self._distinct = distinct
        sizes = [postings.size(first, after) for postings, first, after in runs]
        total = sum(sizes) + sum(chosen.count for chosen in sets)
        if distinct or (len(sizes) + len(sets) == 1 and (sets or runs[0][2] - runs[0][1] == 1)):
            estimate = Estimate(total, total, total)
        else:
            least = max(
                [-(-size // run[0].per_row) for size, run in zip(sizes, runs, strict=True)]
                + [chosen.count for chosen in sets],
                default=0,
            )
            most = min(total, rows)
            estimate = Estimate(least, (least + most) / 2, most)
        super().__init__(rows, estimate)

    def bounds(self) -> Bounds:
        if len(self._runs) + len(self._sets) == 1:
            if self._runs:
                postings, first, after = self._runs[0]
                words = postings.words(first, after)
            else:
                words = self._sets[0].words()
        else:
            words = np.zeros(word_count(self.rows), np.uint64)
            for postings, first, after in self._runs:
                if first < after:
                    postings.add_to(words, first, after)
            for chosen in self._sets:
                words |= chosen.words()
        return Bounds(words, words)

    def meets(self, other: Chosen) -> bool:
        """Whether the rows of both are those of what their runs share: each row has one value at most."""
        return (
            self._distinct
            and other._distinct
            and not self._sets
            and not other._sets
            and len(self._runs) == len(other._runs)
            and all(mine[0] is its[0] for mine, its in zip(self._runs, other._runs, strict=True))
        )

    def shared(self, other: Chosen) -> Chosen:
        """Of one that it meets."""
        runs = []
        for (postings, first, after), (_, start, end) in zip(self._runs, other._runs, strict=True):
            begin = max(first, start)
            runs.append((postings, begin, max(begin, min(after, end))))
        return Chosen(self.rows, runs, (), distinct=True)


class Found(Node):
    """Rows that a look into the values finds; at most so many."""

    __slots__ = ("_find",)

    def __init__(self, rows: int, most: int, find: Callable[[], Words]) -> None:
        most = min(most, rows)
        super().__init__(rows, Estimate(0, most / 2, most))
        self._find = find

    def bounds(self) -> Bounds:
        words = self._find()
        return Bounds(words, words)


class Unsure(Node):
    """As `node`, but for some rows of which the columns say nothing."""

    __slots__ = ("_node", "_rest")

    def __init__(self, node: Node, count: int, rest: Callable[[], Words]) -> None:
        """rest: those rows, `count` of them at most."""
        known = node.estimate
        most = min(node.rows, known.most + count)
        super().__init__(node.rows, Estimate(max(0, known.least - count), min(known.expected, most), most))
        self._node = node
        self._rest = rest

    def bounds(self) -> Bounds:
        known, rest = self._node.bounds(), self._rest()
        return Bounds(known.lower & ~rest, known.upper | rest)


class Opposite(Node):
    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        known, rows = node.estimate, node.rows
        super().__init__(rows, Estimate(rows - known.most, rows - known.expected, rows - known.least))
        self._node = node

    def bounds(self) -> Bounds:
        known, every = self._node.bounds(), every_row(self.rows)
        lower = every & ~known.upper
        return Bounds(lower, lower if known.exact else every & ~known.lower)


class AllOf(Node):
    __slots__ = ("_nodes",)

    def __init__(self, rows: int, nodes: Sequence[Node]) -> None:
        # Those that hold for few rows first: where nothing is left, the others are not looked at.
        self._nodes = sorted(nodes, key=_most)
        known = [node.estimate for node in self._nodes]
        least = max(0, sum(one.least for one in known) - (len(known) - 1) * rows)
        expected = float(rows)
        for one in known:
            expected *= one.expected / rows if rows else 0.0
        most = known[0].most
        super().__init__(rows, Estimate(least, min(max(expected, least), most), most))

    def bounds(self) -> Bounds:
        lower, upper = self._nodes[0].bounds()
        for node in self._nodes[1:]:
            # A run is added up in the time that this look takes.
            if not isinstance(node, Chosen) and not upper.any():
                break
            known = node.bounds()
            if lower is upper and known.exact:
                lower = upper = upper & known.upper
            else:
                lower, upper = lower & known.lower, upper & known.upper
        return Bounds(lower, upper)


def _most(node: Node) -> int:
    return node.estimate.most


def all_of(rows: int, nodes: Sequence[Node]) -> Node:
    """With one node for the two ends of a range: its rows are fewer than those beyond either end."""
    united: list[Node] = []
    for node in nodes:
        for place, other in enumerate(united):
            if isinstance(node, Chosen) and isinstance(other, Chosen) and node.meets(other):
                united[place] = node.shared(other)
                break
        else:
            united.append(node)
    return united[0] if len(united) == 1 else AllOf(rows, united)


class AnyOf(Node):
    __slots__ = ("_nodes",)

    def __init__(self, rows: int, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        known = [node.estimate for node in nodes]
        least = max(one.least for one in known)
        most = min(rows, sum(one.most for one in known))
        missed = 1.0
        for one in known:
            missed *= 1.0 - (one.expected / rows if rows else 0.0)
        super().__init__(rows, Estimate(least, min(max(rows * (1.0 - missed), least), most), most))

    def bounds(self) -> Bounds:
        lower, upper = self._nodes[0].bounds()
        for node in self._nodes[1:]:
            known = node.bounds()
            if lower is upper and known.exact:
                lower = upper = upper | known.upper
            else:
                lower, upper = lower | known.lower, upper | known.upper
        return Bounds(lower, upper)


class AtLeast(Node):
    """Rows that `count` of the nodes hold for, or more."""

    __slots__ = ("_count", "_nodes")

    def __init__(self, rows: int, nodes: Sequence[Node], count: int) -> None:
        """count: 1 to the number of nodes."""
        self._nodes = nodes
        self._count = count
        least = sum(node.estimate.least for node in nodes) - rows * (count - 1)
        least = max(0, -(-least // (len(nodes) - count + 1)))
        most = min(rows, sum(node.estimate.most for node in nodes) // count)
        expected = sum(node.estimate.expected for node in nodes) / len(nodes)
        super().__init__(rows, Estimate(least, min(max(expected, least), most), most))

    def bounds(self) -> Bounds:
        known = [node.bounds() for node in self._nodes]
        upper = self._counted([one.upper for one in known])
        if all(one.exact for one in known):
            return Bounds(upper, upper)
        return Bounds(self._counted([one.lower for one in known]), upper)

    def _counted(self, words: Sequence[NDArray[np.uint64]]) -> Words:
        """Rows in `count` of the bitmaps. O(count) operations on bitmaps for each."""
        # reached[c]: rows that were in c + 1 of those seen so far.
        reached = [np.zeros(word_count(self.rows), np.uint64) for _ in range(self._count)]
        for one in words:
            for number in range(self._count - 1, 0, -1):
                reached[number] |= reached[number - 1] & one
            reached[0] |= one
        return reached[-1]
