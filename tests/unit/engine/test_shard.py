"""A shard's answers, its refusals, and its life from opening to closing."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import (
    DimensionMismatch,
    DuplicateId,
    FailedPrecondition,
    HanaxError,
    Internal,
    InvalidArgument,
    InvalidMetadata,
    MetadataTooLarge,
    NonFiniteVector,
    Unavailable,
    ZeroVector,
)
from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import decode_id, encode_id
from hanax.engine.shard import Schema, Shard, ShardOptions
from hanax.engine.storage import manifest
from tests.unit.engine.rigs import DEADLINE_S, EVERYTHING, Clock, Rig, wait_until


def test_writes_say_what_they_did_and_points_keep_their_first_time(folder: Path) -> None:
    clock = Clock()
    with Rig(folder, clock=clock) as rig:
        clock.now_us = 100
        done = rig.upsert([1, "a"], metadata=[{"v": 1}, {"w": 1}])
        assert (done.sequence, done.inserted, done.updated) == (1, 2, 0)
        clock.now_us = 200
        done = rig.upsert([1, 2], metadata=[{"v": 2}, {}])
        assert (done.sequence, done.inserted, done.updated) == (2, 1, 1)
        clock.now_us = 300
        updated = rig.shard.update_metadata(
            [encode_id(7), encode_id("a"), encode_id(1)], [b"{}", b'{"x":[1]}', b'{"v":3}'], replace=False
        )
        assert (updated.sequence, updated.updated, updated.missing) == (3, 2, [encode_id(7)])
        clock.now_us = 400
        replaced = rig.shard.update_metadata([encode_id(2)], [b'{"only":true}'], replace=True)
        assert (replaced.sequence, replaced.updated) == (4, 1)
        deleted = rig.delete([1, 99])
        assert (deleted.sequence, deleted.deleted) == (5, 1)
        clock.now_us = 600
        rig.upsert([1])
        for again in range(2):
            points = rig.shard.get([encode_id(id_) for id_ in ("a", 5, 2, 1)], EVERYTHING)
            assert points.ids == [encode_id(id_) for id_ in ("a", 2, 1)]
            assert points.metadata == [b'{"w":1,"x":[1]}', b'{"only":true}', b"{}"]
            assert points.created_at_us.tolist() == [101, 201, 601]
            assert points.updated_at_us.tolist() == [301, 401, 601]
            if not again:
                rig.shard.compact()
        rig.reopen()
        assert rig.get([1, 2, "a"]) == {1: {}, 2: {"only": True}, "a": {"w": 1, "x": [1]}}


def test_writes_without_effect_take_no_place_in_the_log_except_deletes_by_id(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1])
        assert rig.shard.update_metadata([encode_id(9)], [b"{}"], replace=False).sequence == 1
        assert rig.shard.delete_matching(parse_filter([{"field": "a", "operator": "exists"}])).sequence == 1
        assert rig.delete([9]).sequence == 2


@pytest.mark.parametrize(
    ("ids", "vectors", "metadata", "error"),
    [
        ([], np.zeros((0, 2)), [], InvalidArgument),
        (["a", "a"], np.ones((2, 2)), [b"{}"] * 2, DuplicateId),
        (["a"], np.ones((1, 3)), [b"{}"], DimensionMismatch),
        (["a"], np.ones(2), [b"{}"], DimensionMismatch),
        (["a"], np.ones((2, 2)), [b"{}"], InvalidArgument),
        (["a"], [[np.nan, 0]], [b"{}"], NonFiniteVector),
        (["a"], [[np.inf, 0]], [b"{}"], NonFiniteVector),
        (["a"], [[1e300, 0]], [b"{}"], NonFiniteVector),
        (["a"], [[1e19, 0]], [b"{}"], NonFiniteVector),
        (["a"], [[0, 0]], [b"{}"], ZeroVector),
        (["a"], [[0, 1e-19]], [b"{}"], ZeroVector),
        (["a"], np.ones((1, 2)), [], InvalidArgument),
        (["a"], np.ones((1, 2)), [b"[]"], InvalidMetadata),
        (["a"], np.ones((1, 2)), [b'{"a":'], InvalidMetadata),
        (["a"], np.ones((1, 2)), [b'{"a":NaN}'], InvalidMetadata),
        (["a"], np.ones((1, 2)), [b'{"a":"%s"}' % (b"x" * 65_536)], MetadataTooLarge),
    ],
)
def test_a_bad_batch_is_refused_by_name_and_nothing_is_written(
    folder: Path, ids: list[str], vectors: object, metadata: list[bytes], error: type[HanaxError]
) -> None:
    with Rig(folder, Schema.single(2, Metric.COSINE)) as rig:
        with pytest.raises(error):
            rig.shard.upsert(
                [encode_id(id_) for id_ in ids], {"default": np.asarray(vectors, np.float64)}, metadata
            )
        assert rig.shard.stats().last_sequence == 0
        assert rig.shard.stats().log_bytes == 0


def test_merged_metadata_past_the_limit_change_nothing(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1], metadata=[{"a": "x" * 40_000}])
        with pytest.raises(MetadataTooLarge):
            rig.shard.update_metadata([encode_id(1)], [b'{"b":"%s"}' % (b"y" * 40_000)], replace=False)
        assert set(rig.get([1])[1]) == {"a"}
        rig.shard.update_metadata([encode_id(1)], [b'{"b":"%s"}' % (b"y" * 40_000)], replace=True)
        assert set(rig.get([1])[1]) == {"b"}


def test_search_by_filter_distance_and_projection(folder: Path) -> None:
    with Rig(folder, options=ShardOptions(segment_max_rows=16)) as rig:
        rig.upsert(list(range(50)), [[n, 0] for n in range(50)], [{"even": n % 2 == 0} for n in range(50)])
        even = parse_filter([{"field": "even", "operator": "eq", "value": True}])
        query = np.array([[10.2, 0], [40, 0]])
        first, second = rig.shard.search(query, 3, expression=even, projection=EVERYTHING)
        assert first.points.ids == [encode_id(id_) for id_ in (10, 12, 8)]
        np.testing.assert_allclose(first.distances, [0.2, 1.8, 2.2], rtol=1e-5)
        assert first.points.vectors is not None
        assert first.points.vectors.tolist() == [[10, 0], [12, 0], [8, 0]]
        assert [json.loads(blob)["even"] for blob in second.points.metadata or []] == [True] * 3
        (near,) = rig.shard.search(query[1:], 10, max_distance=1.0)
        assert near.points.ids == [encode_id(id_) for id_ in (40, 39, 41)]
        assert near.points.vectors is None
        nobody = parse_filter([{"field": "even", "operator": "eq", "value": 7}])
        (none,) = rig.shard.search(query[:1], 10, expression=nobody)
        assert none.points.ids == []
        with pytest.raises(DimensionMismatch):
            rig.shard.search(np.ones((1, 3)), 1)


def test_points_at_the_same_distance_come_by_id_wherever_they_are_stored(folder: Path) -> None:
    with Rig(folder) as rig:
        for id_ in ("d", "b"):
            rig.upsert([id_], [[1, 1]])
        rig.shard.seal()
        for id_ in ("c", "a", "e"):
            rig.upsert([id_], [[1, 1]])
        assert [id_ for id_, _ in rig.search([0, 0])] == ["a", "b", "c", "d", "e"]


def test_scroll_is_neither_disturbed_by_writes_nor_by_sealing(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert(list(range(100)))
        order = rig.ids()
        assert sorted(order, key=str) == sorted(range(100), key=str)
        seen: list[bytes] = []
        after, more = None, True
        while more:
            points, more = rig.shard.scroll(after, 10)
            seen.extend(points.ids)
            after = points.ids[-1]
            # Update what was seen, delete some that were, add others.
            rig.upsert([decode_id(points.ids[-1]), f"new {len(seen)}"])
            rig.shard.delete([points.ids[-2]])
            if len(seen) == 50:
                rig.shard.seal()
        old = [id_ for id_ in seen if id_ in set(map(encode_id, range(100)))]
        assert old == [encode_id(id_) for id_ in order]
        assert rig.shard.count() == 100


def test_group_commit_syncs_once_for_all_that_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Rig(folder) as rig:
        rig.upsert([0])
        calls: list[int] = []
        first, go = threading.Event(), threading.Event()
        fdatasync = os.fdatasync

        def slow(handle: int) -> None:
            calls.append(handle)
            first.set()
            assert go.wait(DEADLINE_S)
            fdatasync(handle)

        monkeypatch.setattr(os, "fdatasync", slow)
        threads = [threading.Thread(target=rig.upsert, args=([number],)) for number in range(1, 31)]
        threads[0].start()
        assert first.wait(DEADLINE_S)
        for thread in threads[1:]:
            thread.start()
        wait_until("all wait", lambda: len(rig.shard._committer.queue._waiting) == 30)
        assert rig.shard.count() == 1, "nothing is seen before it is durable"
        go.set()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert len(calls) == 2
        assert rig.shard.count() == 31
        assert rig.shard.stats().last_sequence == 31


def test_a_write_that_cannot_be_applied_stops_the_shard_until_it_is_opened_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has it, so only a replay tells what is true."""
    rig = Rig(folder)
    rig.upsert([1])
    with monkeypatch.context() as patch:
        patch.setattr(rig.shard._state, "apply", lambda sequence, record: 1 // 0)
        with pytest.raises(Internal, match="must be reopened"):
            rig.upsert([2])
    for _ in range(20):
        with pytest.raises(Internal, match="must be reopened"):
            rig.upsert([3])
        with pytest.raises(Internal, match="must be reopened"):
            rig.shard.count()
    failure = rig.shard._committer.failure
    assert failure is not None
    assert failure.__traceback__ is None, "it would keep the frames of everyone who met it"
    rig.reopen()
    assert rig.ids() in ([1, 2], [2, 1])
    rig.upsert([3])
    rig.close()


def test_a_log_that_broke_is_told_by_the_statistics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Rig(folder) as rig:
        rig.upsert([1])

        def fail(handle: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", fail)
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="Input/output"):
                rig.upsert([2])
        with pytest.raises(Unavailable, match="until the shard is reopened"):
            rig.upsert([2])
        assert "until the shard is reopened" in rig.shard.stats().read_only_reason
        assert rig.ids() == [1]
        rig.reopen()
        assert rig.shard.stats().read_only_reason == ""
        rig.upsert([2])


def test_a_closed_shard_refuses_and_its_folder_can_be_opened_at_once(folder: Path) -> None:
    rig = Rig(folder)
    rig.upsert([1])
    with pytest.raises(Unavailable, match="open elsewhere"):
        Shard.open(folder, rig.schema, rig.options, rig.background, rig.clock)
    rig.shard.close()
    rig.shard.close()
    for use in (lambda: rig.upsert([2]), rig.shard.count, rig.shard.stats, rig.shard.seal, rig.shard.compact):
        with pytest.raises(Unavailable, match="closed"):
            use()
    with pytest.raises(Unavailable, match="closed"):
        rig.shard.snapshot(folder / "never")
    assert not (folder / "never").exists()
    again = Shard.open(folder, rig.schema, rig.options, rig.background, rig.clock)
    assert again.count() == 1
    again.close()
    rig.background.close()


def test_a_closed_shard_lets_go_of_its_files_though_someone_holds_it(folder: Path) -> None:
    """Space of a deleted collection comes back when its maps are gone, not at some garbage collection."""
    rig = Rig(folder)
    rig.upsert([1])
    rig.shard.seal()
    mapped = Path("/proc/self/maps")
    assert str(folder) in mapped.read_text()
    rig.close()
    assert str(folder) not in mapped.read_text()


def test_closing_waits_for_writers_that_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(folder)
    rig.upsert([0])
    first, go = threading.Event(), threading.Event()

    def slow(handle: int) -> None:
        first.set()
        assert go.wait(DEADLINE_S)

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [threading.Thread(target=rig.upsert, args=([number],)) for number in range(1, 5)]
    threads[0].start()
    assert first.wait(DEADLINE_S)
    for thread in threads[1:]:
        thread.start()
    wait_until("all wait", lambda: len(rig.shard._committer.queue._waiting) == 4)
    threads.append(threading.Thread(target=rig.close))
    threads[-1].start()
    go.set()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    rig.open()
    assert rig.shard.count() == 5
    rig.close()


def test_another_schema_is_refused(folder: Path) -> None:
    Rig(folder, Schema.single(2, Metric.EUCLIDEAN)).close()
    for schema in (Schema.single(3, Metric.EUCLIDEAN), Schema.single(2, Metric.DOT)):
        with pytest.raises(FailedPrecondition, match="holds"):
            Rig(folder, schema)
    Rig(folder, Schema.single(2, Metric.EUCLIDEAN)).close()


def test_a_first_opening_that_was_cut_short_is_begun_anew(folder: Path) -> None:
    for name in ("segments", "tombstones", "log"):
        (folder / name).mkdir(exist_ok=True)
        (folder / f"{manifest.NAME}.new").write_bytes(b'{"checksum":')
        with Rig(folder) as rig:
            assert rig.shard.count() == 0
        (folder / manifest.NAME).unlink()


def test_a_snapshot_is_the_moment_and_both_go_on(folder: Path) -> None:
    with Rig(folder / "s", options=ShardOptions(segment_max_rows=16)) as rig:
        rig.upsert(list(range(40)), metadata=[{"n": n} for n in range(40)])
        rig.delete([0, 1])
        rig.shard.snapshot(folder / "copy")
        rig.upsert([0, 100])
        rig.delete([2])
        rig.shard.compact()
        with Rig(folder / "copy") as copy:
            assert sorted(map(int, copy.ids())) == list(range(2, 40))
            copy.upsert([500])
            copy.delete([39])
            copy.shard.compact()
        assert sorted(map(int, rig.ids())) == [0, *range(3, 40), 100]
        with pytest.raises(HanaxError, match="exists already"):
            rig.shard.snapshot(folder / "copy")
        rig.reopen()
        assert sorted(map(int, rig.ids())) == [0, *range(3, 40), 100]
        with Rig(folder / "copy") as copy:
            assert sorted(map(int, copy.ids())) == [*range(2, 39), 500]


def test_a_snapshot_into_a_place_that_cannot_be_written_leaves_nothing(folder: Path) -> None:
    with Rig(folder / "s") as rig:
        rig.upsert([1])
        (folder / "file").write_bytes(b"")
        with pytest.raises(OSError, match="Not a directory"):
            rig.shard.snapshot(folder / "file" / "copy")
        rig.shard.snapshot(folder / "new" / "folders" / "copy")
        rig.upsert([2])
        assert sorted(path.name for path in folder.iterdir()) == ["file", "new", "s"]
        assert [path.name for path in (folder / "new" / "folders").iterdir()] == ["copy"]
