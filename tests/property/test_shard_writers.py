"""Writers beside one another, against a dictionary: as if they had come one after the other.

Writes that depend on what is there share a sync of the log. None of that may be seen.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanax.core.distances import Metric
from hanax.core.errors import StorageFull, VersionConflict
from hanax.core.filters import Condition, Operator
from hanax.core.ids import encode_id
from hanax.engine.shard import Conditions, MetadataChange, Schema, WriteMode
from hanax.engine.shard.conditions import IfVersions
from hanax.engine.shard.writes import Write
from tests.property.shard_model import Model
from tests.property.shard_strategies import DIMENSION, Item
from tests.unit.engine.folders import fast_folder
from tests.unit.engine.rigs import Rig, wait_until

IDS = [encode_id(number) for number in range(6)]
NOW_US = 1_000
SCHEMA = Schema.single(DIMENSION, Metric.EUCLIDEAN)
VECTOR = np.ones(DIMENSION, np.float32)
# A write, what it shall come to, and what the state is afterwards.
Call = Callable[[], Any]


def rig_in(folder: Path) -> Rig:
    return Rig(folder, SCHEMA, clock=lambda: NOW_US)


def upsert(rig: Rig, ids: list[bytes], number: int, conditions: Conditions) -> tuple[Any, ...]:
    vectors = {"default": np.tile(VECTOR, (len(ids), 1))}
    done = rig.shard.upsert(ids, vectors, [orjson.dumps({"n": number})] * len(ids), conditions)
    return done.sequence, done.inserted, done.updated, done.skipped


class Story:
    """Writes in an order, each with the outcome that it has in that order."""

    def __init__(self) -> None:
        self.model = Model(Metric.EUCLIDEAN)
        self.sequence = 0
        self.calls: list[Callable[[Rig], Any]] = []
        self.outcomes: list[Any] = []

    def tell(self, call: Callable[[Rig], Any], outcome: Any) -> None:
        self.calls.append(call)
        self.outcomes.append(outcome)

    def versions(self, ids: list[bytes], wrong: int) -> dict[bytes, int]:
        """What each has, but for the first where `wrong` is added to it."""
        known = {id_: self.model.version(id_) for id_ in ids}
        return known | {ids[0]: known[ids[0]] + wrong}

    def conflict(self, if_versions: IfVersions) -> list[int] | None:
        """Versions found where others are expected."""
        found = {id_: self.model.version(id_) for id_ in if_versions}
        return [found[id_] for id_ in if_versions if found[id_] != if_versions[id_]] or None

    def upsert(self, ids: list[bytes], mode: WriteMode, if_versions: IfVersions) -> None:
        number = len(self.calls)
        conditions = Conditions(mode, if_versions)
        if conflict := self.conflict(if_versions):
            self.tell(lambda rig: upsert(rig, ids, number, conditions), conflict)
            return
        skipped = [
            id_ for id_ in ids if mode is (WriteMode.INSERT if self.model.version(id_) else WriteMode.UPDATE)
        ]
        batch = [Item(id_, VECTOR, {"n": number}, 0) for id_ in ids if id_ not in skipped]
        self.sequence += bool(batch)
        inserted = self.model.upsert(batch, NOW_US, self.sequence)
        outcome = (self.sequence, inserted, len(batch) - inserted, skipped)
        self.tell(lambda rig: upsert(rig, ids, number, conditions), outcome)

    def delete(self, ids: list[bytes], if_versions: IfVersions) -> None:
        outcome: Any = self.conflict(if_versions)
        if outcome is None:
            self.sequence += 1
            outcome = self.sequence, self.model.delete(ids)

        def call(rig: Rig) -> Any:
            done = rig.shard.delete(ids, if_versions)
            return done.sequence, done.deleted

        self.tell(call, outcome)

    def patch(self, ids: list[bytes], if_versions: IfVersions) -> None:
        patches = [{"p": len(self.calls)}] * len(ids)
        outcome: Any = self.conflict(if_versions)
        if outcome is None:
            self.sequence += any(self.model.version(id_) for id_ in ids)
            missing = self.model.update_metadata(ids, patches, False, NOW_US, self.sequence)
            outcome = self.sequence, missing

        def call(rig: Rig) -> Any:
            done = rig.shard.update_metadata(ids, list(map(orjson.dumps, patches)), False, if_versions)
            return done.sequence, done.missing

        self.tell(call, outcome)

    def change(self, ids: list[bytes]) -> None:
        change = MetadataChange(b'{"c":1}')
        updated = self.model.copy().change_metadata(ids, change, NOW_US, 0)
        self.sequence += bool(updated)
        self.model.change_metadata(ids, change, NOW_US, self.sequence)
        versions = [self.model.version(id_) for id_ in ids]

        def call(rig: Rig) -> Any:
            done = rig.shard.metadata_changes.by_ids(ids, change)
            return done.sequence, done.updated, done.versions

        self.tell(call, (self.sequence, updated, versions))

    def delete_matching(self) -> None:
        expression = Condition(("c",), Operator.EXISTS, True)
        ids = list(self.model.matching(expression))
        self.sequence += bool(ids)
        self.model.delete(ids)

        def call(rig: Rig) -> Any:
            done = rig.shard.delete_matching(expression)
            return done.sequence, done.deleted

        self.tell(call, (self.sequence, len(ids)))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    story = Story()
    for _ in range(draw(st.integers(2, 12))):
        ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique=True))
        expected: dict[bytes, int] = {}
        if draw(st.booleans()):
            expected = story.versions(ids, draw(st.sampled_from([0, 0, 0, 1])))
        match draw(st.sampled_from(["upsert", "upsert", "upsert", "delete", "patch", "change", "matching"])):
            case "upsert":
                story.upsert(ids, draw(st.sampled_from(WriteMode)), expected)
            case "delete":
                story.delete(ids, expected)
            case "patch":
                story.patch(ids, expected)
            case "change":
                story.change(ids)
            case _:
                story.delete_matching()
    return story


def outcome_of(call: Call) -> Any:
    try:
        return call()
    except VersionConflict as error:
        return [one["found"] for one in error.details["conflicts"]]


@contextmanager
def queued(rig: Rig, calls: list[Call], outcomes: dict[int, Any]) -> Iterator[None]:
    """All of them wait, in this order, until the block ends."""
    queue = rig.shard._committer.queue
    go = threading.Event()

    def hold() -> None:
        go.wait()

    def run(number: int, call: Call) -> None:
        outcomes[number] = outcome_of(call)

    threads = [threading.Thread(target=lambda: queue.submit(Write(prepare=hold)))]
    threads += [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    try:
        for number, thread in enumerate(threads, 1):
            thread.start()
            wait_until("it waits", lambda number=number: len(queue._waiting) == number)  # type: ignore[misc]
        yield
    finally:
        go.set()
        for thread in threads:
            thread.join()


@settings(max_examples=80, deadline=None)
@given(story=stories())
def test_writers_that_come_together_end_as_if_one_by_one(story: Story) -> None:
    with fast_folder() as folder, rig_in(folder / "s") as rig:
        outcomes: dict[int, Any] = {}
        with queued(rig, [lambda call=call: call(rig) for call in story.calls], outcomes):  # type: ignore[misc]
            pass
        assert [outcomes[number] for number in range(len(story.calls))] == story.outcomes
        story.model.check(rig.shard)
        rig.reopen()
        story.model.check(rig.shard)


def test_a_group_is_seen_and_answered_when_it_is_durable(tmp_path: Path) -> None:
    """One sync for all of them; a conflict among them is nobody else's."""
    with rig_in(tmp_path / "s") as rig:
        log = rig.shard._committer._log
        append, appended = log.append, list[int]()

        def watched(payloads: Any) -> int:
            assert rig.shard.count() == 0
            assert outcomes == {}
            appended.append(len(payloads))
            return append(payloads)

        outcomes: dict[int, Any] = {}
        calls: list[Call] = [
            lambda number=number: upsert(  # type: ignore[misc]
                rig, [IDS[number]], number, Conditions(if_versions={IDS[number]: int(number == 2)})
            )
            for number in range(6)
        ]
        with mock.patch.object(log, "append", watched), queued(rig, calls, outcomes):
            pass
        assert appended == [5]
        assert outcomes.pop(2) == [0]
        assert {number: outcome[1] for number, outcome in outcomes.items()} == dict.fromkeys(
            [0, 1, 3, 4, 5], 1
        )
        assert sorted(outcome[0] for outcome in outcomes.values()) == [1, 2, 3, 4, 5]


def test_a_log_that_takes_nothing_fails_those_that_write(tmp_path: Path) -> None:
    """Who has nothing to write is answered, and the state is what it was."""
    with rig_in(tmp_path / "s") as rig:
        upsert(rig, [IDS[0]], 0, Conditions())
        outcomes: dict[int, Any] = {}

        def refused(number: int) -> Any:
            with pytest.raises(StorageFull):
                upsert(rig, [IDS[number]], 1, Conditions(WriteMode.INSERT))
            return "refused"

        calls: list[Call] = [
            lambda: refused(1),
            lambda: upsert(rig, [IDS[0]], 1, Conditions(WriteMode.INSERT)),
            lambda: refused(2),
        ]
        full = mock.patch.object(rig.shard._committer._log, "append", side_effect=StorageFull("no room"))
        with full, queued(rig, calls, outcomes):
            pass
        assert outcomes == {0: "refused", 1: (1, 0, 0, [IDS[0]]), 2: "refused"}
        assert rig.shard.stats().last_sequence == rig.shard.count() == 1


THREADS, ROUNDS = 6, 60


def test_writers_that_run_freely_have_some_order(tmp_path: Path) -> None:
    """Sequences are that order: in it, each write met what it was told to have met."""
    done: list[tuple[int, list[bytes], Conditions, tuple[Any, ...]]] = []

    with rig_in(tmp_path / "s") as rig:

        def write(seed: int) -> None:
            source = random.Random(seed)
            for number in range(ROUNDS):
                ids = source.sample(IDS, source.randint(1, 3))
                found = dict(
                    zip(ids, rig.shard.metadata_changes.by_ids(ids, MetadataChange()).versions, strict=True)
                )
                conditions = Conditions(
                    source.choice([WriteMode.UPSERT, WriteMode.UPDATE, WriteMode.INSERT]),
                    found if source.random() < 0.5 else {},
                )
                outcome = outcome_of(partial(upsert, rig, ids, seed * ROUNDS + number, conditions))
                if isinstance(outcome, tuple):
                    done.append((seed * ROUNDS + number, ids, conditions, outcome))
                if source.random() < 0.1:
                    gone = source.choice(IDS)
                    deleted = rig.shard.delete([gone])
                    done.append((-1, [gone], Conditions(), (deleted.sequence, deleted.deleted)))

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        model, last = Model(Metric.EUCLIDEAN), 0
        # One that wrote nothing saw the state of the sequence it tells.
        for number, ids, conditions, outcome in sorted(
            done, key=lambda one: (one[3][0], len(one[3]) == 4 and one[3][1] + one[3][2] == 0)
        ):
            for id_, version in conditions.if_versions.items():
                assert model.version(id_) == version
            if number < 0:
                assert model.delete(ids) == outcome[1]
                last += 1
            else:
                kept = [id_ for id_ in ids if id_ not in outcome[3]]
                there = conditions.mode is WriteMode.INSERT
                assert all((model.version(id_) > 0) is there for id_ in outcome[3])
                inserted = model.upsert(
                    [Item(id_, VECTOR, {"n": number}, 0) for id_ in kept], NOW_US, outcome[0]
                )
                assert outcome[1:3] == (inserted, len(kept) - inserted)
                last += bool(kept)
            assert last == outcome[0], "sequences are dense"
        model.check(rig.shard)
        rig.reopen()
        model.check(rig.shard)
