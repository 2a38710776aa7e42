"""Regions of the vectors' space: clusters inside clusters, of equal sizes, that filters can go with.

Halves hold fifths, and so on: 2, 10, 100 and 1,000 regions, each about as large as the share that it is
named for. The labels are a function of the vectors alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.index import cache
from benchmarks.index.datasets import Dataset, Vectors

# Parts of each region of the level above.
PARTS: Final = (2, 5, 10, 10)
_SEED: Final = 7
_ITERATIONS: Final = 12
_SAMPLE: Final = 20_000

Labels = NDArray[np.int64]


def regions_of(data: Dataset) -> tuple[list[Labels], list[Labels]]:
    """The regions of rows and of queries, int64[n] and int64[q] for each of the four levels."""
    found = cache.kept(
        f"{data.name}-regions-{len(data.rows)}",
        f"{data.rows[:3].tobytes().hex()}{len(data.queries)}\n{cache.source_of(__file__)}",
        lambda: dict(zip(("rows", "queries"), _divided(data.rows, data.queries), strict=True)),
    )
    return list(found["rows"]), list(found["queries"])


def _divided(rows: Vectors, queries: Vectors) -> tuple[Labels, Labels]:
    """int64[levels, n] and int64[levels, q]; a query lies where the nearest centre is, level by level."""
    random = np.random.default_rng(_SEED)
    of_rows = np.zeros((len(PARTS), len(rows)), np.int64)
    of_queries = np.zeros((len(PARTS), len(queries)), np.int64)
    above_rows, above_queries = of_rows[0], of_queries[0]
    regions = 1
    for level, parts in enumerate(PARTS):
        inside, asked = np.zeros(len(rows), np.int64), np.zeros(len(queries), np.int64)
        for region in range(regions):
            members = np.flatnonzero(above_rows == region)
            centres = _centres(rows[members], parts, random)
            inside[members] = _even(_distances(rows[members], centres))
            near = np.flatnonzero(above_queries == region)
            asked[near] = np.argmin(_distances(queries[near], centres), axis=1)
        of_rows[level] = above_rows * parts + inside
        of_queries[level] = above_queries * parts + asked
        above_rows, above_queries = of_rows[level], of_queries[level]
        regions *= parts
    return of_rows, of_queries


def _centres(vectors: Vectors, parts: int, random: np.random.Generator) -> Vectors:
    """Lloyd's k-means on a sample: float32[parts, d]."""
    sample = vectors[random.permutation(len(vectors))[:_SAMPLE]]
    centres = sample[random.choice(len(sample), parts, replace=False)].copy()
    for _ in range(_ITERATIONS):
        nearest = np.argmin(_distances(sample, centres), axis=1)
        for part in range(parts):
            if len(own := sample[nearest == part]):
                centres[part] = own.mean(axis=0)
    return centres


def _distances(vectors: Vectors, centres: Vectors) -> NDArray[np.float32]:
    """Squared L2 without the vector's own length, float32[n, parts]: the order of centres is the same."""
    found: NDArray[np.float32] = np.einsum("ij,ij->i", centres, centres) - 2.0 * (vectors @ centres.T)
    return found


def _even(distances: NDArray[np.float32]) -> Labels:
    """The nearest part that has room, int64[n]. Those that lose most by a second choice choose first."""
    count, parts = distances.shape
    choices = np.argsort(distances, axis=1)
    ordered = np.sort(distances, axis=1)
    room = [(count + part) // parts for part in range(parts)]
    chosen = np.zeros(count, np.int64)
    for row in np.argsort(ordered[:, 0] - ordered[:, 1], kind="stable").tolist():
        for part in choices[row].tolist():
            if room[part]:
                room[part] -= 1
                chosen[row] = part
                break
    return chosen
