"""A shard against a dictionary, through writes, seals, merges, indexes, snapshots, crashes and openings.

HANAX_TEST_SCALE=10 plays ten times as many lives.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import NoTextIndex, VersionConflict
from hanax.core.filters import Condition, Filter, Operator
from hanax.core.ids import encode_id
from hanax.core.index_specs import Indexing
from hanax.core.specs import PayloadIndex
from hanax.engine.shard import (
    Background,
    Conditions,
    MetadataChange,
    Schema,
    Shard,
    ShardOptions,
    Upserted,
    WriteMode,
    index_plans,
)
from hanax.engine.shard.conditions import UNCONDITIONAL
from hanax.engine.storage.records import Kind, Record, encode_record
from tests.property import shard_strategies as strategies
from tests.property.shard_model import Model
from tests.property.shard_strategies import DIMENSION, Item, Vector
from tests.unit.engine import log_format
from tests.unit.engine.folders import fast_folder
from tests.unit.engine.rigs import DEADLINE_S, Clock

SCALE = float(os.environ.get("HANAX_TEST_SCALE", "1"))


class Hand(Clock):
    """A clock that stands until it is set, so that it is known what has expired."""

    def __call__(self) -> int:
        return self.now_us


class ShardMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.root = self.resources.enter_context(fast_folder())
        # Segments of this size have indexes, too.
        self.resources.enter_context(mock.patch.object(index_plans, "LEAST_ROWS", 1))
        self.clock = Hand()
        self.lives = 0
        self.copies = 0

    @initialize(metric=strategies.metrics, options=strategies.options, indexing=strategies.indexings)
    def begin(self, metric: Metric, options: ShardOptions, indexing: Indexing) -> None:
        self.model = Model(metric)
        self.schema = Schema.single(DIMENSION, metric)
        self.options = replace(options, indexing=self.possible(indexing))
        self.folder = self.root / "life-0"
        self.open()

    def possible(self, indexing: Indexing) -> Indexing:
        return Indexing() if indexing.problem(self.model.metric, DIMENSION) else indexing

    def open(self) -> None:
        self.background = Background(2)
        self.resources.callback(self.background.close)
        self.shard = self.opened(self.folder, self.background)
        self.resources.callback(self.shard.close)
        # Sequences up to here are in files of earlier lives.
        self.opened_at = self.shard.stats().last_sequence

    def opened(self, folder: Path, background: Background) -> Shard:
        return Shard.open(folder, self.schema, self.options, background, self.clock)

    def teardown(self) -> None:
        self.resources.close()

    @rule(us=st.sampled_from([1, 4, 20]))
    def wait(self, us: int) -> None:
        self.clock.now_us += us
        self.model.expire(self.clock.now_us)

    # Writes

    @rule(batch=strategies.batches)
    def upsert(self, batch: list[Item]) -> None:
        done = self.write(self.shard, batch)
        inserted = self.model.upsert(batch, self.clock.now_us, done.sequence)
        assert (done.inserted, done.updated) == (inserted, len(batch) - inserted)

    @rule(batch=strategies.batches, mode=st.sampled_from(WriteMode), data=st.data())
    def upsert_on_conditions(self, batch: list[Item], mode: WriteMode, data: st.DataObject) -> None:
        """What the mode leaves alone is named; one point of another version refuses all of them."""
        expected = {
            item.id: data.draw(st.sampled_from([self.model.version(item.id)] * 4 + [0, 1]))
            for item in batch
            if data.draw(st.booleans())
        }
        conflicts = {id_ for id_, version in expected.items() if self.model.version(id_) != version}
        skipped = [
            item.id
            for item in batch
            if mode is (WriteMode.INSERT if self.model.version(item.id) else WriteMode.UPDATE)
        ]
        if conflicts:
            with pytest.raises(VersionConflict) as caught:
                self.write(self.shard, batch, Conditions(mode, expected))
            assert {encode_id(one["id"]) for one in caught.value.details["conflicts"]} == conflicts
            return
        done = self.write(self.shard, batch, Conditions(mode, expected))
        written = [item for item in batch if item.id not in skipped]
        inserted = self.model.upsert(written, self.clock.now_us, done.sequence)
        assert done.skipped == skipped
        assert (done.inserted, done.updated) == (inserted, len(written) - inserted)

    def write(self, shard: Shard, batch: list[Item], conditions: Conditions = UNCONDITIONAL) -> Upserted:
        return shard.upsert(
            [item.id for item in batch],
            {"default": np.array([item.vector for item in batch])},
            [orjson.dumps(item.metadata) for item in batch],
            conditions,
            self.expiries(batch),
        )

    def expiries(self, batch: list[Item]) -> NDArray[np.int64]:
        lives = np.array([item.life_us for item in batch], np.int64)
        return np.where(lives > 0, self.clock.now_us + lives, 0)

    def timed(self, change: MetadataChange) -> MetadataChange:
        life_us = change.expires_at_us
        return replace(change, expires_at_us=self.clock.now_us + life_us) if life_us else change

    @rule()
    def delete_expired(self) -> None:
        self.shard._expiry.delete_expired()

    @rule(ids=strategies.id_lists, data=st.data(), replaced=st.booleans())
    def update_metadata(self, ids: list[bytes], data: st.DataObject, replaced: bool) -> None:
        patches = data.draw(st.lists(strategies.metadata, min_size=len(ids), max_size=len(ids)))
        done = self.shard.update_metadata(ids, [orjson.dumps(patch) for patch in patches], replaced)
        missing = self.model.update_metadata(ids, patches, replaced, self.clock.now_us, done.sequence)
        assert (done.missing, done.updated) == (missing, len(ids) - len(missing))

    @rule(ids=strategies.id_lists, change=strategies.changes)
    def change_metadata(self, ids: list[bytes], change: MetadataChange) -> None:
        change = self.timed(change)
        done = self.shard.metadata_changes.by_ids(ids, change)
        updated = self.model.change_metadata(ids, change, self.clock.now_us, done.sequence)
        versions = [self.model.version(id_) for id_ in ids]
        matched = sum(version > 0 for version in versions)
        assert (done.matched, done.updated, done.versions) == (matched, updated, versions)

    @rule(expression=strategies.filters, change=strategies.changes)
    def change_matching(self, expression: Filter, change: MetadataChange) -> None:
        change = self.timed(change)
        ids = list(self.model.matching(expression))
        done = self.shard.metadata_changes.matching(expression, change, lambda: True)
        updated = self.model.change_metadata(ids, change, self.clock.now_us, done.sequence)
        assert (done.matched, done.updated) == (len(ids), updated)

    @rule(ids=strategies.id_lists, wrong=st.booleans())
    def delete_of_a_version(self, ids: list[bytes], wrong: bool) -> None:
        expected = {id_: self.model.version(id_) for id_ in ids}
        if wrong:
            expected[ids[0]] += 1
            with pytest.raises(VersionConflict):
                self.shard.delete(ids, expected)
        else:
            assert self.shard.delete(ids, expected).deleted == self.model.delete(ids)

    @rule(ids=strategies.id_lists)
    def delete(self, ids: list[bytes]) -> None:
        assert self.shard.delete(ids).deleted == self.model.delete(ids)

    @rule(expression=strategies.filters)
    def delete_matching(self, expression: Filter) -> None:
        deleted = self.model.delete(list(self.model.matching(expression)))
        assert self.shard.delete_matching(expression).deleted == deleted

    # Upkeep

    @rule()
    def seal(self) -> None:
        self.shard.seal()
        assert self.shard.stats().growing_rows == 0

    @rule()
    def compact(self) -> None:
        self.shard.compact()
        stats = self.shard.stats()
        assert (stats.segments, stats.deleted_rows) == (bool(self.model.points), 0)
        assert stats.covered_sequence == stats.last_sequence

    @rule(indexing=strategies.indexings)
    def set_indexing(self, indexing: Indexing) -> None:
        self.options = replace(self.options, indexing=self.possible(indexing))
        self.shard.set_indexing(self.options.indexing)

    @rule(pins=strategies.pins)
    def set_payload_indexes(self, pins: dict[str, PayloadIndex]) -> None:
        self.options = replace(self.options, payload_indexes=pins)
        self.shard.set_payload_indexes(pins)

    @rule()
    def wait_until_indexed(self) -> None:
        assert self.shard.wait_until_indexed(DEADLINE_S)
        wanted = "kd_tree" if self.options.indexing.index.type == "kd_tree" else "flat"
        assert {(stats.state, stats.type) for stats in self.shard.stats().indexes} <= {("built", wanted)}

    @rule(meanwhile=strategies.batches, beside=strategies.batches)
    def snapshot(self, meanwhile: list[Item], beside: list[Item]) -> None:
        """The copy is the moment it was taken, and neither of the two touches the other afterwards."""
        self.copies += 1
        target = self.root / f"copy-{self.copies}"
        self.shard.snapshot(target)
        moment = self.model.copy()
        self.upsert(meanwhile)
        background = Background(1)
        copy = self.opened(target, background)
        try:
            moment.check(copy)
            done = self.write(copy, beside)
            moment.upsert(beside, self.clock.now_us, done.sequence)
            copy.compact()
            moment.check(copy)
        finally:
            copy.close()
            background.close()
        shutil.rmtree(target)

    @rule()
    def reopen(self) -> None:
        self.shard.close()
        self.background.close()
        self.open()
        self.model.check(self.shard)

    @rule(batch=strategies.batches, share=st.floats(0, 1))
    def crash(self, batch: list[Item], share: float) -> None:
        """The process is gone, and all that it had in memory; of a write that ran, so much is in the log.

        Maintenance is cut between two of its jobs here; tests/unit/engine/test_crash_points.py cuts
        between any two of its steps.
        """
        self.background.close()
        self.lives += 1
        crashed = self.root / f"life-{self.lives}"
        shutil.copytree(self.folder, crashed)
        last = self.shard.stats().last_sequence
        self.shard.close()
        shutil.rmtree(self.folder)
        self.folder = crashed
        if self.leave_write(batch, share, last):
            self.model.upsert(batch, self.clock.now_us, last + 1)
        self.open()
        self.model.check(self.shard)

    def leave_write(self, batch: list[Item], share: float, last: int) -> bool:
        """Put a part of an upsert behind the log, as a process would that is killed. True for the whole."""
        record = Record(
            Kind.UPSERT,
            self.clock(),
            [item.id for item in batch],
            [orjson.dumps(item.metadata) for item in batch],
            {"default": np.array([item.vector for item in batch])},
            self.expiries(batch),
        )
        written = log_format.record(last + 1, last, b"".join(encode_record(record)))
        files = sorted((self.folder / "log").glob("*.log"))
        if not files or int(files[-1].stem) <= self.opened_at:
            files.append(self.folder / "log" / log_format.name(last + 1))
            written = log_format.file_header(last + 1) + written
        size = round(share * len(written))
        with files[-1].open("ab") as file:
            file.write(written[:size])
        return size == len(written)

    # Reads

    @rule(
        queries=st.lists(strategies.vectors, min_size=1, max_size=3),
        limit=strategies.limits,
        expression=st.none() | strategies.filters,
    )
    def search(self, queries: list[Vector], limit: int, expression: Filter | None) -> None:
        self.model.check_search(self.shard, queries, limit, expression)

    @rule(limit=strategies.limits, expression=st.none() | strategies.filters)
    def scroll(self, limit: int, expression: Filter | None) -> None:
        self.model.check_scroll(self.shard, limit, expression)

    @rule(ids=strategies.id_lists)
    def get(self, ids: Sequence[bytes]) -> None:
        self.model.check_get(self.shard, ids)

    @rule(expression=strategies.filters)
    def count(self, expression: Filter) -> None:
        assert self.shard.count(expression) == len(self.model.matching(expression))

    @rule(field=st.sampled_from(["tag", "text", "list"]), word=st.sampled_from(["a", "b", "0", "a*"]))
    def count_words(self, field: str, word: str) -> None:
        """From the moment that the field is pinned as text, until it is not."""
        expression = Condition((field,), Operator.TEXT, word)
        if self.options.payload_indexes.get(field) == PayloadIndex.TEXT:
            assert self.shard.count(expression) == len(self.model.matching(expression))
        else:
            with pytest.raises(NoTextIndex):
                self.shard.count(expression)

    @precondition(lambda self: hasattr(self, "shard"))
    @invariant()
    def same(self) -> None:
        self.model.check(self.shard)


# Finding a smaller example of a failure takes minutes.
TestShardMachine = pytest.mark.timeout(300 + 300 * SCALE)(ShardMachine.TestCase)
TestShardMachine.settings = settings(
    max_examples=round(200 * SCALE),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
