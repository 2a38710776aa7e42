"""A shard whose segments are large enough to be indexed, and what its points are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.ids import decode_id
from hanax.core.index_specs import BinaryQuantisation, FlatIndex, Indexing, ScalarQuantisation
from hanax.engine.shard import Schema, ShardOptions
from hanax.engine.shard.results import IndexStats
from tests.unit.engine.rigs import DEADLINE_S, Rig

# The quickest to build of those that have files.
INT8 = Indexing(index=FlatIndex(), quantisation=ScalarQuantisation())
BINARY = Indexing(index=FlatIndex(), quantisation=BinaryQuantisation())
DIMENSION = 8
ROWS = 1_200


def options(indexing: Indexing = INT8, **others: Any) -> ShardOptions:
    return ShardOptions(indexing=indexing, **others)


def vectors_of(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)


class IndexedRig(Rig):
    """Points are numbered, and `rows` knows the vector of each."""

    def __init__(self, folder: Path, options: ShardOptions, metric: Metric = Metric.EUCLIDEAN) -> None:
        self.rows: dict[int, NDArray[np.float32]] = {}
        super().__init__(folder, Schema.single(DIMENSION, metric), options)

    def fill(self, first: int = 0, count: int = ROWS) -> None:
        vectors = vectors_of(count, seed=first)
        for start in range(0, count, 400):
            part = vectors[start : start + 400]
            ids = list(range(first + start, first + start + len(part)))
            self.upsert(ids, part)
            self.rows |= dict(zip(ids, part, strict=True))

    def remove(self, ids: list[int]) -> None:
        self.delete(ids)
        for id_ in ids:
            del self.rows[id_]

    def check(self, least: float = 0.93) -> None:
        """Answers are those of a comparison with all points that should be there, but for a few."""
        ids, rows = list(self.rows), np.array(list(self.rows.values()))
        queries = vectors_of(60, seed=99)
        hits = 0
        for query, found in zip(queries, self.shard.search(queries, 10), strict=True):
            nearest = np.argsort(((rows - query) ** 2).sum(axis=1))[:10]
            got = {decode_id(id_) for id_ in found.points.ids}
            assert len(got) == 10
            assert got <= set(ids), "an answer that was deleted"
            hits += len(got & {ids[place] for place in nearest})
        assert hits / 600 >= least

    def indexes(self) -> list[IndexStats]:
        return self.shard.stats().indexes

    def wait(self) -> None:
        assert self.shard.wait_until_indexed(DEADLINE_S)


def index_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "indexes").iterdir())
