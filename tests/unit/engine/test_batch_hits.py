"""Hits of a batch are in columns; each query's are cut out when they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import decode_id
from hanax.engine.points import BatchHits, Points
from tests.unit.engine.rigs import Rig


def test_a_batch_answers_as_its_queries_alone(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert(list(range(50)), [[number, 0.0] for number in range(50)])
        rig.shard.seal()
        rig.upsert(list(range(50, 60)), [[number, 0.0] for number in range(50, 60)])
        queries = np.array([[3.2, 0.0], [49.6, 0.0], [100.0, 0.0]])
        for distance in (None, 2.5):
            together = rig.shard.search(queries, 4, max_distance=distance)
            alone = [rig.shard.search(query[None], 4, max_distance=distance)[0] for query in queries]
            assert [hits.points.ids for hits in together] == [hits.points.ids for hits in alone]
            assert [hits.points.metadata for hits in together] == [hits.points.metadata for hits in alone]
            for one, other in zip(together, alone, strict=True):
                np.testing.assert_array_equal(one.distances, other.distances)
        assert [decode_id(id_) for id_ in together[0].points.ids] == [3, 4, 2, 5]
        assert len(together[2].points) == 0
        nobody = parse_filter([{"field": "no", "operator": "eq", "value": 1}])
        assert [len(hits.points) for hits in rig.shard.search(queries, 4, expression=nobody)] == [0, 0, 0]


def test_places_in_a_batch_are_those_of_a_list() -> None:
    ids = [b"a", b"b", b"c", b"d"]
    times = np.arange(4)
    batch = BatchHits(np.arange(4, dtype=np.float32), Points(ids, None, None, times, times), [3, 3, 4])
    parts = [hits.points.ids for hits in batch]
    assert parts == [ids[:3], [], ids[3:]]
    for place in range(-3, 3):
        assert batch[place].points.ids == parts[place]
    assert [hits.points.ids for hits in batch[1:]] == parts[1:]
    for outside in (3, -4):
        with pytest.raises(IndexError):
            batch[outside]
