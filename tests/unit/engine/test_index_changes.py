"""Indexes of a living shard: changed while the old ones serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument
from hanax.core.ids import decode_id
from hanax.core.index_specs import (
    FlatIndex,
    Indexing,
    KdTreeIndex,
    SearchParameters,
)
from hanax.engine.shard import Schema
from tests.unit.engine.gates import BuildGate
from tests.unit.engine.indexed import BINARY, DIMENSION, ROWS, IndexedRig, index_folders, options, vectors_of
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until


def test_another_index_is_built_while_the_old_one_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.compact()
        (old,) = index_folders(folder)
        gate = BuildGate(monkeypatch)
        rig.shard.set_indexing(BINARY)
        assert gate.reached.wait(DEADLINE_S)
        (stats,) = rig.indexes()
        assert (stats.state, stats.quantisation) == ("building", "int8")
        rig.check()
        gate.go.set()
        rig.wait()
        (stats,) = rig.indexes()
        assert (stats.state, stats.quantisation) == ("built", "binary")
        assert index_folders(folder) != [old]
        assert len(index_folders(folder)) == 1
        rig.check()
        rig.options = options(BINARY)
        rig.reopen()
        assert rig.indexes() == [stats]
        # To none at all.
        rig.shard.set_indexing(Indexing(index=FlatIndex()))
        rig.wait()
        assert [(stats.state, stats.memory_bytes) for stats in rig.indexes()] == [("built", 0)]
        assert index_folders(folder) == []
        rig.check(1.0)


def test_the_last_change_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that nobody wants any more is cut short."""
    gate = BuildGate(monkeypatch)
    with IndexedRig(folder, options()) as rig:
        rig.fill()
        rig.shard.seal()
        assert gate.reached.wait(DEADLINE_S)
        rig.shard.set_indexing(BINARY)
        wait_until("another build", lambda: len(gate.builds) == 2)
        gate.go.set()
        rig.wait()
        assert [stats.quantisation for stats in rig.indexes()] == ["binary"]


def test_another_target_is_measured_without_a_build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndexedRig(folder, options(BINARY.model_copy(update={"target_recall": 0.5}))) as rig:
        rig.fill()
        rig.shard.compact()
        (before,) = rig.indexes()
        gate = BuildGate(monkeypatch)
        rig.shard.set_indexing(BINARY.model_copy(update={"target_recall": 0.99}))
        rig.wait()
        (after,) = rig.indexes()
        assert gate.builds == []
        assert after.effort > before.effort
        assert after.recall >= 0.98 > before.recall
        rig.check(0.97)
        assert len(index_folders(folder)) == 1
        rig.options = options(BINARY.model_copy(update={"target_recall": 0.99}))
        rig.reopen()
        rig.wait()
        assert rig.indexes() == [after]


def test_what_cannot_be_built_changes_nothing(folder: Path) -> None:
    schema = Schema.single(DIMENSION, Metric.DOT)
    with Rig(folder / "s", schema, options()) as rig:
        with pytest.raises(InvalidArgument, match="k-d tree does not serve dot"):
            rig.shard.set_indexing(Indexing(index=KdTreeIndex()))
        rig.upsert(list(range(ROWS)), vectors_of(ROWS))
        rig.shard.compact()
        assert rig.shard.stats().indexes[0].quantisation == "int8"
    with pytest.raises(InvalidArgument, match="k-d tree"):
        Rig(folder / "other", schema, options(Indexing(index=KdTreeIndex())))
    assert not (folder / "other").exists()


def test_a_search_may_compare_every_vector(folder: Path) -> None:
    with IndexedRig(folder, options(BINARY.model_copy(update={"target_recall": 0.3}))) as rig:
        rig.fill()
        rig.shard.compact()
        queries = vectors_of(50, seed=3)
        exact = rig.shard.search(queries, 10, parameters=SearchParameters(exact=True))
        rough = rig.shard.search(queries, 10)
        assert any(a.points.ids != b.points.ids for a, b in zip(exact, rough, strict=True))
        rows = np.array([rig.rows[number] for number in range(ROWS)])
        for query, hits in zip(queries, exact, strict=True):
            nearest = np.argsort(((rows - query) ** 2).sum(axis=1))[:10].tolist()
            assert [decode_id(id_) for id_ in hits.points.ids] == nearest


# Limits and failures
