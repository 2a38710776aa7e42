"""A hierarchical navigable small world graph: Malkov & Yashunin, "Efficient and Robust Approximate Nearest
Neighbor Search Using Hierarchical Navigable Small World Graphs" (TPAMI 2018, arXiv:1603.09320).

The walk compares codes of one byte a component, or float32 rows of the space; the nearest that it finds are
compared again in full. The effort is ef_search: how many nodes the walk keeps in mind.

Under a mask, few allowed rows are compared one by one; for many queries together, in tiles of codes, more of
them. Else the walk visits allowed rows alone and steps over
rejected ones (ACORN-1). A walk may end before it has found as many rows as it was to keep in mind, where the
allowed rows are not joined; then all of them are compared one by one: k come back.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.index_specs import HnswIndex, NoQuantisation, ScalarQuantisation
from hanax.engine.index.hnsw_graph import Graph, grow
from hanax.engine.index.hnsw_rows import Comparable, WalkedRows
from hanax.engine.index.protocol import Arrays, Effort, Mask, Nearest, Source, Work
from hanax.engine.index.rescoring import rescore
from hanax.engine.kernels import hnsw_masked, hnsw_search
from hanax.engine.kernels.code_tiles import FEWEST_QUERIES, scan_tiles

_EFFORTS = (
    10,
    12,
    14,
    17,
    20,
    24,
    28,
    34,
    40,
    48,
    56,
    68,
    80,
    100,
    120,
    160,
    200,
    280,
    400,
    560,
    800,
    1_200,
    2_000,
)

# Comparing rows of so many bytes costs about as much as each node that a walk under a mask keeps in mind;
# a row costs as much as some bytes more.
_BYTES_PER_EF = 40_000
_BYTES_BESIDE = 32
# So many allowed rows within two steps of a node, on average, join the allowed rows to one graph.
_JOINED = 10.0
# In tiles for many queries: this part of the cost, and more the fewer queries share the work of laying
# them out.
_TILED, _LAID_OUT = 0.25, 4.0
# A walk under a mask keeps up to this part more nodes in mind, the fewer rows are allowed: where they lie
# apart from the query, its neighbours are harder to find.
_MORE_MASKED = 1.0
# Allowed rows, spread over all of them, from which a walk under a mask starts.
_SEEDS = 16
# Rows gathered at a node of such a walk, about the links of a node.
_GATHERED = 24


@dataclass(frozen=True, slots=True)
class Hnsw:
    source: Source
    rows: WalkedRows
    graph: Graph

    @classmethod
    def build(
        cls, source: Source, spec: HnswIndex, quantisation: ScalarQuantisation | NoQuantisation, work: Work
    ) -> Hnsw:
        """O(n log n) comparisons; memory: `hanax.engine.index.hnsw_graph.build_bytes`. Raises Cancelled."""
        rows, constants = WalkedRows.build(source, quantisation, work)
        return cls(source, rows, grow(rows, constants, spec, work))

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> Hnsw:
        return cls(source, WalkedRows.load(arrays, parameters, source), Graph.load(arrays, parameters))

    @property
    def arrays(self) -> Arrays:
        return {**self.rows.arrays, **self.graph.arrays}

    @property
    def parameters(self) -> dict[str, Any]:
        return {**self.rows.parameters, **self.graph.parameters}

    @property
    def efforts(self) -> tuple[int, ...]:
        return _EFFORTS

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        """Raises nothing; see `Index.search`."""
        count = len(self.source.vectors)
        allowed = count if mask is None else mask.count
        candidates = np.empty((len(queries), 0), np.int64)
        if len(queries) and k:
            ef = max(effort.at(k), k)
            ef += int(_MORE_MASKED * ef * (1.0 - allowed / count))
            ef = min(ef, allowed)
            # Codes mistake the order of near rows alone: few more than k hold the k nearest of those met.
            candidates = np.empty((len(queries), min(ef, k + max(3, k // 4) + ef // 16)), np.int64)
            self._find(self.rows.queries(queries), ef, mask, candidates)
        return rescore(self.source, queries, candidates, k)

    def _find(self, queries: Comparable, ef: int, mask: Mask | None, candidates: NDArray[np.int64]) -> None:
        """Fill in the rows nearest to each query by the walk's distances, ascending: int64[q, c], c <= ef."""
        asked = np.arange(len(candidates))
        if mask is not None and not self.walkable(mask, ef, len(candidates)):
            self._compare(queries, _allowed(mask, mask.count), asked, candidates)
            return
        found = np.empty(len(candidates), np.int64)
        rows, graph = self.rows, self.graph
        walk = (
            rows.space.l1, rows.matrix, rows.norms, *queries, graph.starts, graph.links, graph.width,
            graph.upper_rows, graph.upper_starts, graph.upper_links, graph.entry, graph.layers, ef,
        )  # fmt: skip
        seen = _bitmap(len(rows.matrix))
        if mask is None:
            hnsw_search.search(*walk, seen, candidates, found)
        else:
            seeds = _spread(mask, _SEEDS)
            hnsw_masked.search_masked(*walk, mask.words, seeds, _GATHERED, seen, candidates, found)
        short = asked[found < ef]
        if len(short):
            self._compare(queries, _allowed(mask, len(rows.matrix)), short, candidates)

    def walkable(self, mask: Mask, ef: int, queries: int) -> bool:
        """Whether walking is cheaper than comparing the allowed rows, and finds them.

        queries: how many are asked together.
        """
        share = mask.count / len(self.source.vectors)
        row_bytes = self.rows.matrix.shape[1] * self.rows.matrix.itemsize + _BYTES_BESIDE
        if self._tiled(queries):
            row_bytes *= _TILED + _LAID_OUT / queries
        return mask.count * row_bytes > _BYTES_PER_EF * ef and share * self.graph.reach > _JOINED

    def _tiled(self, queries: int) -> bool:
        return self.rows.quantiser is not None and queries >= FEWEST_QUERIES

    def _compare(
        self, queries: Comparable, chosen: NDArray[np.int64], asked: NDArray[np.int64], out: NDArray[np.int64]
    ) -> None:
        rows = self.rows
        compare = scan_tiles if self._tiled(len(asked)) else hnsw_masked.compare_rows
        compare(rows.space.l1, rows.matrix, rows.norms, *queries, chosen, asked, out)


def _allowed(mask: Mask | None, count: int) -> NDArray[np.int64]:
    if mask is None:
        return np.arange(count)
    rows = np.empty(mask.count, np.int64)
    return rows[: hnsw_masked.allowed_rows(mask.words, 1, rows)]


def _spread(mask: Mask, count: int) -> NDArray[np.int64]:
    rows = np.empty(count, np.int64)
    return rows[: hnsw_masked.allowed_rows(mask.words, -(-mask.count // count), rows)]


class _Bitmaps(threading.local):
    """One for each thread that searches, as long as its longest index asked for; zeros between searches."""

    words = np.zeros(0, np.uint64)


_BITMAPS = _Bitmaps()


def _bitmap(count: int) -> NDArray[np.uint64]:
    words = -(-count // 64)
    if len(_BITMAPS.words) < words:
        _BITMAPS.words = np.zeros(words, np.uint64)
    return _BITMAPS.words[:words]
