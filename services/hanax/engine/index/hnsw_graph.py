"""The graph of an HNSW index: grown with room for every node's links, then packed.

While it grows, a node has room for 2m links in the bottom layer and m in each layer above: about
8 m + 40 bytes, memory of the build alone (`build_bytes`). Packed, its links, 18 to 22 at m = 16, take 2, 3 or
4 bytes each, as the number of rows asks for.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import InvalidArgument
from hanax.core.index_specs import HnswIndex
from hanax.engine.index.hnsw_rows import WalkedRows
from hanax.engine.index.protocol import Arrays, Work
from hanax.engine.index.sampling import check
from hanax.engine.kernels import hnsw_build

# A thread inserts so many nodes, some tens of milliseconds, before it looks whether it should stop.
_SHARE = 512
# The kernel reads links four bytes at a time.
_SPARE_BYTES = 4
# One in m^30 nodes would be higher.
_HIGHEST = 30
_BLOCK_ROWS = 65_536
# Nodes whose neighbourhood is looked at.
_SAMPLED = 256


@dataclass(frozen=True, slots=True)
class Graph:
    """Layers as hanax.engine.kernels.hnsw_search reads them.

    starts: uint32[n + 1], links: uint8[links * width + 4], upper_rows: uint32[u],
    upper_starts: uint32[u + 1], upper_links: uint32[links]. entry: among the upper entries, of the highest of
    `layers` layers above the bottom; with none above, the one entry for the row where a walk starts. reach:
    nodes within two steps of a node, on average.
    """

    starts: NDArray[np.uint32]
    links: NDArray[np.uint8]
    upper_rows: NDArray[np.uint32]
    upper_starts: NDArray[np.uint32]
    upper_links: NDArray[np.uint32]
    width: int
    entry: int
    layers: int
    reach: float

    @property
    def arrays(self) -> Arrays:
        return {
            "starts": self.starts,
            "links": self.links,
            "upper.rows": self.upper_rows,
            "upper.starts": self.upper_starts,
            "upper.links": self.upper_links,
        }

    @property
    def parameters(self) -> dict[str, Any]:
        return {"link_bytes": self.width, "entry": self.entry, "layers": self.layers, "reach": self.reach}

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any]) -> Graph:
        named = ("starts", "links", "upper.rows", "upper.starts", "upper.links")
        starts, links, upper_rows, upper_starts, upper_links = (arrays[name] for name in named)
        return cls(
            starts,
            links,
            upper_rows,
            upper_starts,
            upper_links,
            width=parameters["link_bytes"],
            entry=parameters["entry"],
            layers=parameters["layers"],
            reach=parameters["reach"],
        )


def build_bytes(count: int, width: int, spec: HnswIndex) -> int:
    """Memory that building takes beside the index's own arrays: an upper estimate for `count` rows.

    width: components of a row. Links with room to spare, levels, locks and constants for every row; a
    bitmap for each of a few threads; a block of rows while it is encoded.
    """
    upper = 2.0 / (spec.m - 1)
    per_row = 8 * spec.m + 4 * spec.m * upper + 28 + 1
    return int(per_row * count) + 40 * 8_192 * width + 16 * 2**20


def grow(rows: WalkedRows, constants: NDArray[np.int32], spec: HnswIndex, work: Work) -> Graph:
    """Insert all rows. With one thread it is the same every time. Raises Cancelled, InvalidArgument."""
    count = len(rows.matrix)
    if count * 2 * spec.m >= 2**32:
        raise InvalidArgument(
            f"{count} rows of up to {2 * spec.m} links are more than a graph holds, 2^32; use a smaller m"
        )
    levels = _levels(count, spec.m)
    ends = np.cumsum(levels, dtype=np.int64)
    firsts = (ends - levels).astype(np.int32)
    bottom = np.full((count, 2 * spec.m), -1, np.int32)
    upper = np.full((int(levels.sum(dtype=np.int64)), spec.m), -1, np.int32)
    top = int(levels.argmax()) if count else 0
    locks = np.zeros(count, np.int32)
    counter = np.zeros(1, np.int64)
    # At random: rows often come sorted, and what is inserted among its likes alone gets no links beyond them.
    order = np.random.default_rng(12).permutation(count).astype(np.int32)

    def insert() -> None:
        seen = np.zeros(-(-count // 64), np.uint64)
        while counter[0] < count and not work.stopped.is_set():
            hnsw_build.insert_nodes(
                rows.space.l1, rows.matrix, rows.norms, constants, order, levels, firsts, bottom, upper,
                locks, counter, seen, top, spec.ef_construction, _SHARE,
            )  # fmt: skip

    with ThreadPoolExecutor(work.threads, "hnsw-build") as pool:
        for inserted in [pool.submit(insert) for _ in range(work.threads)]:
            inserted.result()
    check(work)
    starts, links, width = _packed(bottom, work)
    reach = _reach(bottom)
    if not len(upper):
        return Graph(starts, links, *_lone_entry(count), width, 0, 0, reach)
    layers = int(levels[top])
    entry = int(firsts[top]) + layers - 1
    return Graph(starts, links, *_entries(levels, firsts, upper), width, entry, layers, reach)


def _levels(count: int, m: int) -> NDArray[np.uint8]:
    """The highest layer of each node: algorithm 1, line 4, with mL = 1 / ln(m)."""
    draws = 1.0 - np.random.default_rng(11).random(count)
    levels: NDArray[np.uint8] = np.minimum(-np.log(draws) / np.log(m), _HIGHEST).astype(np.uint8)
    return levels


def _starts(links: NDArray[np.int32]) -> NDArray[np.uint32]:
    starts = np.zeros(len(links) + 1, np.uint32)
    total = 0
    for first in range(0, len(links), _BLOCK_ROWS):
        counts = (links[first : first + _BLOCK_ROWS] >= 0).sum(axis=1).cumsum() + total
        starts[first + 1 : first + 1 + len(counts)] = counts
        total = int(counts[-1])
    return starts


def _reach(bottom: NDArray[np.int32]) -> float:
    sizes = []
    for node in range(0, len(bottom), max(1, len(bottom) // _SAMPLED)):
        near = bottom[node][bottom[node] >= 0]
        sizes.append(len(np.union1d(near, bottom[near].ravel())))
    return float(np.mean(sizes)) if sizes else 0.0


def _packed(bottom: NDArray[np.int32], work: Work) -> tuple[NDArray[np.uint32], NDArray[np.uint8], int]:
    starts = work.allocate("starts", np.uint32, (len(bottom) + 1,))
    starts[:] = _starts(bottom)
    width = next(width for width in (2, 3, 4) if len(bottom) <= 256**width)
    links = work.allocate("links", np.uint8, (int(starts[-1]) * width + _SPARE_BYTES,))
    hnsw_build.pack_links(bottom, width, starts, links)
    return starts, links, width


Entries = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]


def _lone_entry(count: int) -> Entries:
    return np.zeros(min(count, 1), np.uint32), np.zeros(min(count, 1) + 1, np.uint32), np.empty(0, np.uint32)


def _entries(levels: NDArray[np.uint8], firsts: NDArray[np.int32], upper: NDArray[np.int32]) -> Entries:
    """The layers above as entries whose links are entries of their own layer."""
    rows = np.repeat(np.arange(len(levels)), levels)
    layers = np.arange(len(upper)) - firsts[rows]
    linked = upper >= 0
    links = firsts[upper[linked]] + np.repeat(layers, linked.sum(axis=1))
    return rows.astype(np.uint32), _starts(upper), links.astype(np.uint32)
