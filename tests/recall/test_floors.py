"""Recall of each index under each metric, in each state of a shard: one table of floors.

Recall is the share of the k answers that are at most as far as the true k-th neighbour, so points that
tie stand for each other. Distances come from a comparison in float64 of all that should be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument
from hanax.core.filter_parsing import parse_filter
from hanax.core.filters import Filter
from hanax.core.ids import decode_id
from hanax.core.index_specs import QUANTISATIONS, FlatIndex, Indexing
from hanax.engine.index import factory
from hanax.engine.shard import Schema, ShardOptions, index_plans
from tests.unit.engine import reference
from tests.unit.engine.folders import fast_folder
from tests.unit.engine.rigs import DEADLINE_S, Rig

DIMENSION = 24
K = 10
QUERIES = 120
LEAST_ROWS = 200
# Segments with enough rows to be indexed.
OPTIONS = ShardOptions(segment_max_rows=1_500, indexing=Indexing(index=FlatIndex()), build_threads=1)

Floats = NDArray[np.float32]


@dataclass
class Stage:
    """A shard in one state, and the points that it should have."""

    rig: Rig
    metric: Metric
    points: dict[int, Floats] = field(default_factory=dict)

    def put(self, ids: NDArray[np.int64], vectors: Floats) -> None:
        """Metadata tell the last two digits of the id, to filter by."""
        for first in range(0, len(ids), 100):
            part = ids[first : first + 100].tolist()
            rows = vectors[first : first + 100]
            self.rig.upsert(part, rows, [{"share": id_ % 100} for id_ in part])
            self.points |= dict(zip(part, rows, strict=True))

    def delete(self, ids: NDArray[np.int64]) -> None:
        for first in range(0, len(ids), 100):
            self.rig.delete(ids[first : first + 100].tolist())
        for id_ in ids.tolist():
            del self.points[id_]

    def recall(self, queries: Floats, percent: int | None) -> float:
        """Of the nearest K among all points, or those whose id's last digits are below `percent`."""
        expression: Filter | None = None
        among = self.points
        if percent is not None:
            expression = parse_filter([{"field": "share", "operator": "lt", "value": percent}])
            among = {id_: row for id_, row in self.points.items() if id_ % 100 < percent}
        rows = np.array(list(among.values()))
        hits = 0
        for query, found in zip(
            queries, self.rig.shard.search(queries, K, expression=expression), strict=True
        ):
            exact = reference.distances(self.metric, query, rows)
            farthest = np.sort(exact)[K - 1] + reference.tolerance(self.metric, query, rows)
            true = dict(zip(among, exact.tolist(), strict=True))
            ids = [decode_id(id_) for id_ in found.points.ids]
            assert len(set(ids)) == len(ids) == K
            hits += sum(isinstance(id_, int) and true[id_] <= farthest for id_ in ids)
        return hits / (K * len(queries))


def vectors_of(random: np.random.Generator, count: int) -> Floats:
    """Clusters, and among them points that lie in the same place."""
    centres = np.random.default_rng(1).standard_normal((20, DIMENSION)) * 2
    rows = centres[random.integers(0, 20, count)] + random.standard_normal((count, DIMENSION))
    copies = random.integers(0, count, count // 10)
    rows[copies] = rows[0]
    return rows.astype(np.float32)


def fresh(stage: Stage, random: np.random.Generator) -> None:
    """Inserted once, sealed as it comes."""
    stage.put(np.arange(3_000), vectors_of(random, 3_000))
    stage.rig.shard.seal()


def after_inserts(stage: Stage, random: np.random.Generator) -> None:
    """A third of the points written anew and others added, some of them not sealed."""
    fresh(stage, random)
    ids = np.concatenate([random.choice(3_000, 1_000, replace=False), np.arange(3_000, 3_700)])
    stage.put(ids, vectors_of(random, len(ids)))


def after_deletes(stage: Stage, random: np.random.Generator) -> None:
    """Half of the points deleted, and not compacted by hand."""
    after_inserts(stage, random)
    stage.delete(random.choice(3_700, 1_850, replace=False))


def after_compaction(stage: Stage, random: np.random.Generator) -> None:
    after_deletes(stage, random)
    stage.rig.shard.compact()
    assert stage.rig.shard.stats().segments == 1
    assert stage.rig.shard.stats().deleted_rows == 0


def after_reopening(stage: Stage, random: np.random.Generator) -> None:
    after_deletes(stage, random)
    stage.rig.reopen()


STATES: list[Callable[[Stage, np.random.Generator], None]] = [
    fresh,
    after_inserts,
    after_deletes,
    after_compaction,
    after_reopening,
]

# Percent of the points that a filter lets through (None: no filter).
SHARES = (None, 50, 10, 1)
EXACT = {("flat", "none"), ("kd_tree", "none")}
# Of those that promise 0.95 of each segment, over few queries.
PROMISED = 0.9


def indexings() -> list[tuple[str, str]]:
    """Every index that there is, on all the codes that it takes."""
    return [(type_, codes) for type_ in factory._INDEXES for codes in QUANTISATIONS[type_]]


@pytest.fixture(
    scope="module",
    params=[(metric, state) for metric in Metric for state in STATES],
    ids=lambda pair: f"{pair[0]}-{pair[1].__name__}",
)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    metric, state = request.param
    schema = Schema.single(DIMENSION, metric)
    # Segments that lost half of their points, and were rewritten, are indexed as well.
    small = mock.patch.object(index_plans, "LEAST_ROWS", LEAST_ROWS)
    with small, fast_folder() as folder, Rig(Path(folder), schema, OPTIONS) as rig:
        stage = Stage(rig, metric)
        state(stage, np.random.default_rng(20_26))
        yield stage


@pytest.mark.parametrize(("type_", "quantisation"), indexings())
def test_recall(stage: Stage, type_: str, quantisation: str) -> None:
    indexing = Indexing.model_validate({"index": {"type": type_}, "quantisation": {"type": quantisation}})
    if problem := indexing.problem(stage.metric, DIMENSION):
        with pytest.raises(InvalidArgument, match=re.escape(problem)):
            stage.rig.shard.set_indexing(indexing)
        return
    stage.rig.shard.set_indexing(indexing)
    assert stage.rig.shard.wait_until_indexed(DEADLINE_S)
    indexed = [stats for stats in stage.rig.shard.stats().indexes if stats.rows >= LEAST_ROWS]
    assert indexed, "sealed segments should be searched"
    assert {(stats.state, stats.type, stats.quantisation) for stats in indexed} == {
        ("built", type_, quantisation)
    }
    random = np.random.default_rng(7)
    # Half of them lie at points that are there, among others in the place that many share.
    near = np.array(list(stage.points.values()))[random.integers(0, len(stage.points), QUERIES // 2)]
    queries = np.concatenate([vectors_of(random, QUERIES // 2), near])
    found = {percent: stage.recall(queries, percent) for percent in SHARES}
    floor = 1.0 if (type_, quantisation) in EXACT else PROMISED
    assert all(recall >= floor for recall in found.values()), found
