"""Points that expire: gone for every reader from their moment on, and deleted by the log later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from hanax.core.errors import InvalidArgument, InvalidExpiry, VersionConflict
from hanax.core.filters import Condition, Operator
from hanax.core.ids import encode_id
from hanax.engine.query.ordering import Order
from hanax.engine.shard import Conditions, MetadataChange, ShardOptions, Upserted, WriteMode, expiry
from hanax.engine.shard.conditions import UNCONDITIONAL
from hanax.engine.shard.reads import Wanted
from tests.unit.engine.rigs import Rig, wait_until

T0 = 1_000_000
EVERY = Condition(("n",), Operator.GTE, 0)


class Hand:
    """A clock that stands until it is set."""

    now_us = T0

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with Rig(folder, clock=Hand(), options=ShardOptions()) as rig:
        yield rig


def put(rig: Rig, expiries: Mapping[int, int], conditions: Conditions = UNCONDITIONAL) -> Upserted:
    """Points by number, with when they expire."""
    ids = [encode_id(number) for number in expiries]
    vectors = {"default": np.array([[number, 1.0] for number in expiries], np.float32)}
    metadata = [b'{"n":%d}' % number for number in expiries]
    return rig.shard.upsert(ids, vectors, metadata, conditions, np.array([*expiries.values()], np.int64))


def set_time(rig: Rig, now_us: int) -> None:
    assert isinstance(rig.clock, Hand)
    rig.clock.now_us = now_us


def check_there(rig: Rig, numbers: Sequence[int]) -> None:
    """Whoever reads sees these points alone."""
    shard, query = rig.shard, np.array([[0.0, 1.0]], np.float32)
    expected = sorted(numbers)
    assert sorted(map(int, rig.ids())) == expected
    assert sorted(rig.get(range(20))) == expected
    assert shard.count() == shard.count(EVERY) == shard.stats().points == len(expected)
    for expression in (None, EVERY):
        assert sorted(int(id_) for id_, _ in rig.search([0.0, 1.0], 20)) == expected
        (hits,) = shard.search(query, 20, expression=expression)
        assert hits.points.ids == [encode_id(number) for number in expected]
    assert sum(shard.reads.facet(("n",)).counts.values()) == len(expected)
    assert len(shard.reads.distinct(("n",), None, 20)[0]) == len(expected)
    assert len(shard.reads.scroll_by(Order(("n",), False, None), 20)[0]) == len(expected)
    assert len(shard.reads.search_groups(query, ("n",), 20, Wanted(1))) == len(expected)
    nobody = np.empty((0, 2), np.float32)
    assert len(shard.reads.recommend(query, nobody, Wanted(20)).points) == len(expected)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_point_is_gone_from_its_moment_on(rig: Rig, sealed: bool) -> None:
    put(rig, {1: 0, 2: T0 + 10, 3: T0 + 20, 4: T0 + 10})
    if sealed:
        rig.shard.seal()
    for now_us, there in [(T0 + 9, [1, 2, 3, 4]), (T0 + 10, [1, 3]), (T0 + 19, [1, 3]), (T0 + 20, [1])]:
        set_time(rig, now_us)
        check_there(rig, there)


def test_times_come_with_the_points(rig: Rig) -> None:
    put(rig, {1: 0})
    assert rig.shard.get([encode_id(1)]).expires_at_us is None
    put(rig, {2: T0 + 10})
    rig.shard.seal()
    put(rig, {3: T0 + 20})
    found = rig.shard.get([encode_id(number) for number in (3, 1, 2)]).expires_at_us
    assert found is not None
    assert found.tolist() == [T0 + 20, 0, T0 + 10]


@pytest.mark.parametrize("sealed", [False, True])
def test_opening_knows_the_times(rig: Rig, sealed: bool) -> None:
    put(rig, {1: 0, 2: T0 + 10})
    if sealed:
        rig.shard.seal()
    rig.reopen()
    check_there(rig, [1, 2])
    set_time(rig, T0 + 10)
    check_there(rig, [1])
    rig.reopen()
    check_there(rig, [1])


def test_new_metadata_leave_the_time(rig: Rig) -> None:
    put(rig, {1: T0 + 10, 2: 0})
    rig.shard.update_metadata([encode_id(1), encode_id(2)], [b'{"n":5}', b'{"n":6}'], True)
    rig.shard.metadata_changes.by_ids([encode_id(1)], MetadataChange(b'{"a":1}'))
    rig.reopen()
    set_time(rig, T0 + 10)
    check_there(rig, [2])


def test_a_change_of_many_points_may_set_their_time(rig: Rig) -> None:
    put(rig, {1: T0 + 10, 2: 0, 3: T0 + 10})
    ids = [encode_id(1), encode_id(2)]
    changes = rig.shard.metadata_changes
    assert changes.by_ids(ids, MetadataChange(expires_at_us=T0 + 10)).updated == 1
    assert changes.matching(EVERY, MetadataChange(expires_at_us=T0 + 20), lambda: True).updated == 3
    assert changes.by_ids(ids[:1], MetadataChange(expires_at_us=0)).updated == 1
    with pytest.raises(InvalidExpiry):
        changes.by_ids(ids, MetadataChange(expires_at_us=-1))
    rig.reopen()
    set_time(rig, T0 + 19)
    check_there(rig, [1, 2, 3])
    set_time(rig, T0 + 20)
    check_there(rig, [1])


def test_writing_a_point_anew_sets_its_time_anew(rig: Rig) -> None:
    put(rig, {1: T0 + 10, 2: T0 + 10})
    put(rig, {1: 0, 2: T0 + 30})
    set_time(rig, T0 + 29)
    check_there(rig, [1, 2])
    set_time(rig, T0 + 30)
    check_there(rig, [1])


@pytest.mark.parametrize("sealed", [False, True])
def test_writes_find_no_point_that_has_expired(rig: Rig, sealed: bool) -> None:
    put(rig, {1: T0 + 10, 2: T0 + 10, 3: T0 + 10, 4: T0 + 10})
    if sealed:
        rig.shard.seal()
    set_time(rig, T0 + 10)
    ids = [encode_id(number) for number in (1, 2, 3, 4)]
    assert rig.shard.update_metadata(ids, [b"{}"] * 4, False).missing == ids
    assert rig.shard.metadata_changes.by_ids(ids, MetadataChange(b'{"a":1}')).matched == 0
    assert rig.shard.metadata_changes.matching(EVERY, MetadataChange(b'{"a":1}'), lambda: True).matched == 0
    assert rig.shard.delete(ids[:1]).deleted == rig.shard.delete_matching(EVERY).deleted == 0
    assert put(rig, {2: 0}, Conditions(WriteMode.UPDATE)).skipped == [ids[1]]
    assert put(rig, {2: 0}, Conditions(WriteMode.INSERT)).inserted == 1
    assert put(rig, {3: 0}, Conditions(if_versions={ids[2]: 0})).inserted == 1
    with pytest.raises(VersionConflict):
        put(rig, {4: 0}, Conditions(if_versions={ids[3]: 1}))
    assert (done := put(rig, {4: 0})).inserted == 1
    assert done.updated == 0
    # Points of their own: nothing of the old ones is left.
    assert rig.shard.get(ids[1:]).created_at_us.tolist() == [T0 + 10] * 3
    check_there(rig, [2, 3, 4])


def test_a_replay_goes_by_the_times_in_the_log(rig: Rig) -> None:
    """However late it is: what a write found is what it finds again."""
    put(rig, {1: T0 + 10, 2: T0 + 10})
    set_time(rig, T0 + 9)
    put(rig, {1: 0})
    rig.shard.update_metadata([encode_id(2)], [b'{"a":1}'], False)
    set_time(rig, T0 + 10)
    put(rig, {2: 0})
    before = rig.shard.get([encode_id(1), encode_id(2)])
    set_time(rig, T0 + 1_000_000)
    rig.reopen()
    after = rig.shard.get([encode_id(1), encode_id(2)])
    assert before.created_at_us.tolist() == after.created_at_us.tolist() == [T0, T0 + 10]
    assert after.metadata == [b'{"n":1}', b'{"n":2}']


def test_compacting_removes_the_rows(rig: Rig) -> None:
    put(rig, {number: T0 + 10 if number % 2 else 0 for number in range(10)})
    rig.shard.seal()
    put(rig, {10: T0 + 10, 11: T0 + 30})
    set_time(rig, T0 + 10)
    assert rig.shard.stats().deleted_rows == 6
    rig.shard.compact()
    stats = rig.shard.stats()
    assert (stats.points, stats.deleted_rows, stats.segments) == (6, 0, 1)
    check_there(rig, [0, 2, 4, 6, 8, 11])
    rig.reopen()
    # A merged segment knows the times of what it kept.
    set_time(rig, T0 + 30)
    check_there(rig, [0, 2, 4, 6, 8])


def test_a_merge_by_itself_keeps_what_the_log_may_still_change(rig: Rig) -> None:
    """A write of before its moment finds the point at a replay too, though a merge came in between."""
    put(rig, {1: T0 + 10, 2: 0})
    rig.shard.seal()
    put(rig, {3: 0})
    rig.shard.seal()
    set_time(rig, T0 + 9)
    rig.shard.update_metadata([encode_id(1)], [b'{"kept":1}'], True)
    before = rig.shard.get([encode_id(1)])
    set_time(rig, T0 + 10)
    rig.shard._maintenance.merge_all()
    set_time(rig, T0 + 9)
    rig.reopen()
    after = rig.shard.get([encode_id(1)])
    assert after.metadata == before.metadata == [b'{"kept":1}']
    assert after.created_at_us.tolist() == [T0]


def test_more_points_than_one_record_holds_are_deleted(rig: Rig) -> None:
    for first in range(100, 5_100, 1_000):
        put(rig, dict.fromkeys(range(first, first + 1_000), T0 + 10))
    put(rig, {1: 0})
    rig.shard.seal()
    set_time(rig, T0 + 10)
    assert rig.shard._expiry.delete_expired() == 5_000
    assert rig.shard._expiry.delete_expired() == 0
    check_there(rig, [1])


def test_of_a_narrowed_batch_each_point_keeps_its_own_time(rig: Rig) -> None:
    put(rig, {1: 0})
    done = put(rig, {1: T0 + 1, 2: T0 + 10, 3: 0}, Conditions(WriteMode.INSERT))
    assert done.skipped == [encode_id(1)]
    set_time(rig, T0 + 10)
    check_there(rig, [1, 3])


def test_what_expired_is_deleted_and_merged_away_by_itself(folder: Path) -> None:
    """Also what had expired before the shard was opened."""
    with mock.patch.object(expiry, "_PAUSE_S", 0.005), Rig(folder, clock=Hand()) as rig:
        put(rig, {number: T0 + 10 + number % 2 for number in range(10)} | {11: 0})
        rig.shard.seal()
        set_time(rig, T0 + 10)
        wait_until("the rows are gone", lambda: stats_of(rig) == (6, 0, 0))
        rig.close()
        set_time(rig, T0 + 11)
        rig.open()
        check_there(rig, [11])
        wait_until("the rows are gone", lambda: stats_of(rig) == (1, 0, 0))
        assert rig.shard.stats().last_sequence == 3


def stats_of(rig: Rig) -> tuple[int, int, int]:
    stats = rig.shard.stats()
    return stats.points, stats.deleted_rows, stats.growing_rows


@pytest.mark.parametrize("expiries", [[0], [0, -1], [0, 2**60]])
def test_times_that_are_none_change_nothing(rig: Rig, expiries: list[int]) -> None:
    vectors = {"default": np.ones((2, 2), np.float32)}
    ids = [encode_id(1), encode_id(2)]
    with pytest.raises(InvalidArgument):
        rig.shard.upsert(ids, vectors, [b"{}"] * 2, expires_at_us=np.array(expiries))
    check_there(rig, [])


@pytest.mark.parametrize("sealed", [False, True])
def test_each_moment_is_told_from_the_one_before_or_anew(rig: Rig, sealed: bool) -> None:
    """Time goes on in small and large steps, and back; searches in between look through masks."""
    random = np.random.default_rng(5)
    expiries = {number: T0 + int(after) for number, after in enumerate(random.integers(1, 300, 500))}
    for first in (0, 250):
        put(rig, {number: expiries[number] for number in range(first, first + 250)})
        if sealed:
            rig.shard.seal()
    rig.delete([3, 400])
    for after in [0, 50, 51, 52, 60, 61, 200, 201, 100, 101, 299, 298, 300, 0]:
        set_time(rig, T0 + after)
        there = {n for n, at in expiries.items() if at > T0 + after} - {3, 400}
        assert {found for found, _ in rig.search([0.0, 1.0], 1_000)} == there
        assert rig.shard.count() == rig.shard.count(EVERY) == len(there)
