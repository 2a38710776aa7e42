"""The vectors that are searched, the queries, and the true answers.

a, b and c are drawn from seeded generators, in the form that tests of index libraries use; d is
real text. `quick` data sets are small enough to try the benchmark itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.index import cache
from benchmarks.index.embeddings import embedded_texts
from hanax.core.distances import Metric

K: Final = 10
# Distances are sums of hundreds of float32 products, in another order in every library.
_TIE: Final = 1e-5
_BLOCK_QUERIES: Final = 100

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Sizes:
    rows: int
    queries: int

    @classmethod
    def of(cls, quick: bool) -> Sizes:
        return cls(12_000, 200) if quick else cls(100_000, 1_000)


@dataclass(frozen=True)
class Dataset:
    """rows: float32[n, d]; queries: float32[q, d]. Under cosine both are of unit length.

    `farthest`: float64[q], the squared L2 distance of the true K-th neighbour, in whose order the metric is.
    """

    name: str
    title: str
    metric: Metric
    rows: Vectors
    queries: Vectors
    nearest: NDArray[np.int64]
    farthest: NDArray[np.float64]

    @property
    def dimension(self) -> int:
        return int(self.rows.shape[1])

    def recall(self, found: NDArray[np.int64]) -> float:
        """recall@K of row numbers, int64[q, K]. A row as near as the K-th is as good as it.

        -1 is none, and a row named again is none: some libraries fill short answers up.
        """
        return float(self.recalls(found).mean())

    def recalls(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """recall@K of every query: float64[q]."""
        found = np.sort(found, axis=1)
        found[:, 1:][found[:, 1:] == found[:, :-1]] = -1
        distances = squared_distances(self.rows, self.queries, found)
        hits = distances <= (self.farthest * (1 + _TIE) + 1e-9)[:, None]
        return np.asarray(np.minimum(hits.sum(axis=1), K) / K, np.float64)


def squared_distances(rows: Vectors, queries: Vectors, found: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared L2 distances of found rows, float64[q, k]; infinite where `found` is -1."""
    distances = np.empty(found.shape, np.float64)
    for number, (query, places) in enumerate(zip(queries, found, strict=True)):
        differences = rows[places].astype(np.float64) - query
        distances[number] = np.einsum("ij,ij->i", differences, differences)
    distances[found < 0] = np.inf
    return distances


def nearest_rows(
    rows: Vectors, queries: Vectors, k: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The true k nearest, int64[q, k], and the k-th's squared L2 distance, float64[q].

    Blocked products in float32 name three times as many candidates, which float64 then orders.
    """
    places = np.arange(len(rows)) if allowed is None else np.flatnonzero(allowed)
    chosen = rows if allowed is None else rows[allowed]
    lengths = np.einsum("ij,ij->i", chosen, chosen)
    candidates = min(3 * k, len(chosen))
    nearest = np.empty((len(queries), k), np.int64)
    farthest = np.empty(len(queries), np.float64)
    for first in range(0, len(queries), _BLOCK_QUERIES):
        block = queries[first : first + _BLOCK_QUERIES]
        rough = lengths - 2.0 * (block @ chosen.T)
        found = places[np.argpartition(rough, candidates - 1, axis=1)[:, :candidates]]
        exact = squared_distances(rows, block, found)
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        nearest[first : first + len(block)] = np.take_along_axis(found, order, axis=1)
        farthest[first : first + len(block)] = np.take_along_axis(exact, order[:, -1:], axis=1)[:, 0]
    return nearest, farthest


# --- generators ------------------------------------------------------------------------------


def clustered(count: int) -> Vectors:
    """128-d: 1,000 overlapping balls."""
    random = np.random.default_rng(1)
    centres = random.normal(size=(1000, 128))
    labels = random.integers(0, 1000, count)
    return np.asarray(centres[labels] + 0.6 * random.normal(size=(count, 128)), np.float32)


def text_like(count: int, dimension: int = 384) -> Vectors:
    """Unit vectors around a curved surface of 32 dimensions with 200 topics, as models of text give."""
    random = np.random.default_rng(2)
    topics = random.normal(size=(200, 32))
    labels = random.integers(0, 200, count)
    hidden = topics[labels] + 0.7 * random.normal(size=(count, 32))
    first = random.normal(size=(32, 256)) / np.sqrt(32)
    second = random.normal(size=(256, dimension)) / np.sqrt(256)
    points = np.tanh(np.tanh(hidden @ first * 1.2) @ second * 1.5)
    points += 0.05 * random.normal(size=(count, dimension))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def hard(count: int) -> Vectors:
    """128-d: one ball of 48 true dimensions, where neighbours are hardly nearer than the rest."""
    random = np.random.default_rng(3)
    hidden = random.normal(size=(count, 48))
    directions = random.normal(size=(48, 128)) / np.sqrt(48)
    return np.asarray(hidden @ directions + 0.25 * random.normal(size=(count, 128)), np.float32)


def wide(count: int) -> Vectors:
    """The text-like data in 768 dimensions."""
    return text_like(count, 768)


@dataclass(frozen=True)
class _Kind:
    title: str
    metric: Metric
    draw: Callable[[int], Vectors] | None


_KINDS: Final = {
    "a": _Kind("clustered, 128-d, euclidean", Metric.EUCLIDEAN, clustered),
    "b": _Kind("text-like, 384-d, cosine", Metric.COSINE, text_like),
    "c": _Kind("hard, 128-d, euclidean", Metric.EUCLIDEAN, hard),
    "d": _Kind("MiniLM embeddings of documentation, 384-d, cosine", Metric.COSINE, None),
    "e": _Kind("text-like, 768-d, cosine", Metric.COSINE, wide),
}
# Those that the headline is taken over.
NAMES: Final = ("a", "b", "c", "d")
# Texts of data set d: what embeds in some ten minutes.
_TEXTS: Final = 60_000
_QUICK_TEXTS: Final = 4_000


def load(name: str, quick: bool = False) -> Dataset:
    """One of `a` to `e`."""
    kind, sizes = _KINDS[name], Sizes.of(quick)
    if kind.draw is None:
        count = _QUICK_TEXTS if quick else _TEXTS
        found = embedded_texts(count, sizes.queries)
        rows, queries, key = found["rows"], found["queries"], found["digest"].tobytes().hex()
    else:
        drawn = kind.draw(sizes.rows + sizes.queries)
        rows, queries, key = drawn[: sizes.rows], drawn[sizes.rows :], str(sizes)
    truth = cache.kept(
        f"{name}-truth-{len(rows)}",
        f"{key}\n{cache.source_of(__file__)}",
        lambda: dict(zip(("nearest", "farthest"), nearest_rows(rows, queries, K), strict=True)),
    )
    return Dataset(name, kind.title, kind.metric, rows, queries, truth["nearest"], truth["farthest"])


def title_of(name: str) -> str:
    """What a data set holds, in a few words."""
    return _KINDS[name].title
