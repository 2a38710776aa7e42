"""Versions, and the writes that depend on what is there: decided once, replayed as decided."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanax.core.errors import Cancelled, InvalidMetadata, MetadataTooLarge, NoTextIndex, VersionConflict
from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.engine.points import Projection
from hanax.engine.shard import Conditions, MetadataChange, Upserted, WriteMode
from hanax.engine.shard.metadata_changes import delete_field
from tests.unit.engine.rigs import Clock, Rig

VERSIONS = Projection(metadata=False, versions=True)


def write(
    rig: Rig,
    ids: list[PointId],
    mode: WriteMode = WriteMode.UPSERT,
    if_versions: Mapping[PointId, int] | None = None,
    number: int = 0,
) -> Upserted:
    expected = {encode_id(id_): version for id_, version in (if_versions or {}).items()}
    return rig.shard.upsert(
        [encode_id(id_) for id_ in ids],
        {"default": np.full((len(ids), 2), number + 1, np.float32)},
        [b'{"number":%d}' % number] * len(ids),
        Conditions(mode, expected),
    )


def versions(rig: Rig, ids: list[PointId]) -> dict[PointId, int]:
    points = rig.shard.get([encode_id(id_) for id_ in ids], VERSIONS)
    assert points.versions is not None
    return dict(zip(map(decode_id, points.ids), points.versions.tolist(), strict=True))


def test_a_version_is_the_sequence_of_the_last_write_and_lasts(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1, 2, 3])
        rig.upsert([2])
        rig.shard.update_metadata([encode_id(3)], [b'{"a":1}'], replace=False)
        for _ in range(2):
            assert versions(rig, [1, 2, 3]) == {1: 1, 2: 2, 3: 3}
            page, _ = rig.shard.scroll(None, 10, projection=VERSIONS)
            (hits,) = rig.shard.search(np.ones((1, 2)), 3, projection=VERSIONS)
            for points in (page, hits.points):
                assert points.versions is not None
                told = dict(zip(map(decode_id, points.ids), points.versions.tolist(), strict=True))
                assert told == {1: 1, 2: 2, 3: 3}
            rig.shard.compact()
        rig.reopen()
        assert versions(rig, [1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert rig.shard.get([encode_id(1)]).versions is None, "only where asked for"


def test_versions_grow_past_a_deletion(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1])
        rig.delete([1])
        assert rig.upsert([1]).sequence > 1


def test_insert_leaves_alone_what_is_there(folder: Path) -> None:
    with Rig(folder) as rig:
        write(rig, [1, 2])
        done = write(rig, [3, 1, 4], WriteMode.INSERT, number=7)
        assert (done.inserted, done.updated, done.skipped) == (2, 0, [encode_id(1)])
        none = write(rig, [1, 2], WriteMode.INSERT)
        assert (none.sequence, none.inserted, none.skipped) == (2, 0, [encode_id(1), encode_id(2)])
        for _ in range(2):
            assert versions(rig, [1, 2, 3, 4]) == {1: 1, 2: 1, 3: 2, 4: 2}
            assert rig.get([1, 3]) == {1: {"number": 0}, 3: {"number": 7}}
            rig.reopen()
        assert rig.shard.stats().last_sequence == 2, "what wrote nothing has no record"


def test_insert_takes_what_was_deleted(folder: Path) -> None:
    with Rig(folder) as rig:
        write(rig, [1])
        rig.delete([1])
        assert write(rig, [1], WriteMode.INSERT).inserted == 1


def test_update_takes_only_what_is_there(folder: Path) -> None:
    with Rig(folder) as rig:
        write(rig, [1, 2])
        done = write(rig, [3, 1], WriteMode.UPDATE, number=7)
        assert (done.inserted, done.updated, done.skipped) == (0, 1, [encode_id(3)])
        for _ in range(2):
            assert versions(rig, [1, 2, 3]) == {1: 2, 2: 1}
            rig.reopen()


def test_one_point_of_another_version_refuses_the_whole_batch(folder: Path) -> None:
    with Rig(folder) as rig:
        write(rig, [1, 2, 3])
        assert write(rig, [1, 2], if_versions={1: 1}).updated == 2
        with pytest.raises(VersionConflict, match="2 has version 2, not 1") as caught:
            write(rig, [1, 2, 3, 4, 5], if_versions={1: 2, 2: 1, 3: 1, 4: 9, 5: 0})
        assert caught.value.details["conflicts"] == [
            {"id": 2, "expected": 1, "found": 2},
            {"id": 4, "expected": 9, "found": 0},
        ]
        assert versions(rig, [1, 2, 3, 4, 5]) == {1: 2, 2: 2, 3: 1}
        assert write(rig, [5], if_versions={5: 0}).inserted == 1
        with pytest.raises(VersionConflict):
            write(rig, [5], if_versions={5: 0})
        with pytest.raises(VersionConflict):
            write(rig, [6], WriteMode.UPDATE, if_versions={6: 4})


def test_metadata_and_deletes_know_versions(folder: Path) -> None:
    with Rig(folder) as rig:
        write(rig, [1, 2])
        one = encode_id(1)
        with pytest.raises(VersionConflict):
            rig.shard.update_metadata([one], [b"{}"], replace=True, if_versions={one: 2})
        with pytest.raises(VersionConflict):
            rig.shard.delete([one, encode_id(2)], {one: 2})
        assert rig.shard.update_metadata([one], [b"{}"], replace=True, if_versions={one: 1}).sequence == 2
        assert rig.shard.delete([one], {one: 2}).deleted == 1
        with pytest.raises(VersionConflict, match="1 has version 0, not 2"):
            rig.shard.delete([one], {one: 2})
        assert rig.ids() == [2]


THREADS, ROUNDS = 4, 25


def race(work: list[threading.Thread]) -> None:
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()


def test_of_writers_with_the_same_version_one_wins(folder: Path) -> None:
    """Each reads the version and writes if it is still that: no write of another is lost."""
    with Rig(folder) as rig:
        rig.upsert([1], metadata=[{"count": 0}])
        one = encode_id(1)
        lost = [0] * THREADS

        def count_up(number: int) -> None:
            for _ in range(ROUNDS):
                while True:
                    points = rig.shard.get([one], Projection(versions=True))
                    assert points.metadata is not None
                    assert points.versions is not None
                    count = int(points.metadata[0].split(b":")[1].rstrip(b"}"))
                    try:
                        rig.shard.upsert(
                            [one],
                            {"default": np.ones((1, 2), np.float32)},
                            [b'{"count":%d}' % (count + 1)],
                            Conditions(if_versions={one: int(points.versions[0])}),
                        )
                    except VersionConflict:
                        lost[number] += 1
                    else:
                        break

        race([threading.Thread(target=count_up, args=(number,)) for number in range(THREADS)])
        assert rig.get([1]) == {1: {"count": THREADS * ROUNDS}}
        assert rig.shard.stats().last_sequence == 1 + THREADS * ROUNDS, "who lost has written nothing"


def test_of_inserts_of_one_id_one_wins(folder: Path) -> None:
    with Rig(folder) as rig:
        start = threading.Barrier(THREADS)
        won: list[list[int]] = [[] for _ in range(ROUNDS)]

        def insert(number: int) -> None:
            for id_ in range(ROUNDS):
                start.wait()
                if write(rig, [id_], WriteMode.INSERT, number=number).inserted:
                    won[id_].append(number)

        race([threading.Thread(target=insert, args=(number,)) for number in range(THREADS)])
        assert [len(winners) for winners in won] == [1] * ROUNDS
        assert rig.get(range(ROUNDS)) == {id_: {"number": won[id_][0]} for id_ in range(ROUNDS)}


def change(rig: Rig, ids: list[PointId], **asked: Any) -> tuple[int, int, list[int]]:
    done = rig.shard.metadata_changes.by_ids([encode_id(id_) for id_ in ids], MetadataChange(**asked))
    return done.matched, done.updated, done.versions


def test_metadata_are_merged_replaced_and_deleted(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1, 2], metadata=[{"a": 1, "b": {"c": 1, "d": 2}}, {"a.b": 3, "a": {"b": 4}}])
        assert change(rig, [1, 9, 2], values=b'{"n":5}') == (2, 2, [2, 0, 2])
        assert rig.get([1])[1] == {"a": 1, "b": {"c": 1, "d": 2}, "n": 5}
        assert change(rig, [1, 2], delete=(("b", "c"), ("a", "b"), ("x", "y"))) == (2, 2, [3, 3])
        assert rig.get([1, 2]) == {1: {"a": 1, "b": {"d": 2}, "n": 5}, 2: {"a": {"b": 4}, "n": 5}}
        assert change(rig, [1], values=b'{"b":1}', delete=(("b",), ("a",))) == (1, 1, [4])
        assert change(rig, [2], values=b'{"z":1}', replace=True) == (1, 1, [5])
        for _ in range(2):
            assert rig.get([1, 2]) == {1: {"n": 5, "b": 1}, 2: {"z": 1}}
            rig.reopen()


def test_metadata_that_stay_the_same_are_not_written(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1, 2], metadata=[{"a": 1}, {"a": 2}])
        assert change(rig, [1, 2], values=b'{"a":1}') == (2, 1, [1, 2])
        assert change(rig, [1, 2], values=b'{"a":1}') == (2, 0, [1, 2])
        assert rig.shard.stats().last_sequence == 2
        assert change(rig, [1], values=b'{"a":true}') == (1, 1, [3]), "true is not 1"


@pytest.mark.parametrize(
    ("metadata", "field", "left"),
    [
        ({"a": 1}, "a", {}),
        ({"a": 1}, "b", {"a": 1}),
        ({"a": {"b": 1}}, "a.b", {"a": {}}),
        ({"a": {"b": 1}}, "a.c", {"a": {"b": 1}}),
        ({"a": [{"b": 1}]}, "a.b", {"a": [{"b": 1}]}),
        ({"a": 1}, "a.b", {"a": 1}),
        ({"a": None}, "a", {}),
        ({"a.b": 1, "a": {"b": 2}}, "a.b", {"a": {"b": 2}}),
    ],
)
def test_a_field_is_deleted_where_a_filter_finds_it(
    metadata: dict[str, Any], field: str, left: dict[str, Any]
) -> None:
    delete_field(metadata, tuple(field.split(".")))
    assert metadata == left


def test_a_bad_change_writes_nothing(folder: Path) -> None:
    with Rig(folder) as rig:
        rig.upsert([1, 2], metadata=[{}, {"b": "y" * 40_000}])
        with pytest.raises(InvalidMetadata):
            change(rig, [1], values=b"[]")
        with pytest.raises(MetadataTooLarge) as caught:
            change(rig, [1, 2], values=b'{"a":"%s"}' % (b"x" * 40_000))
        assert caught.value.details == {"id": 2}
        expression = parse_filter([{"field": "t", "operator": "text", "value": "w"}])
        with pytest.raises(NoTextIndex):
            rig.shard.metadata_changes.matching(expression, MetadataChange(b'{"a":1}'), lambda: True)
        assert rig.shard.stats().last_sequence == 1


def test_all_that_match_are_changed_part_after_part(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part is decided when it is written: a point that has left the filter since is left alone."""
    monkeypatch.setattr("hanax.engine.shard.metadata_changes.MAX_BATCH_POINTS", 4)
    expression = parse_filter([{"field": "n", "operator": "lt", "value": 10}])
    with Rig(folder) as rig:
        rig.upsert(list(range(20)), metadata=[{"n": number} for number in range(20)])
        parts: list[int] = []

        def wanted() -> bool:
            if not parts:
                rig.upsert([9], metadata=[{"n": 99}])
            parts.append(rig.shard.stats().last_sequence)
            return True

        done = rig.shard.metadata_changes.matching(expression, MetadataChange(b'{"m":1}'), wanted)
        assert (done.matched, done.updated, done.versions) == (9, 9, [])
        assert len(parts) == 3
        found = rig.get(range(20))
        assert {id_ for id_, metadata in found.items() if "m" in metadata} == set(range(9))
        again = rig.shard.metadata_changes.matching(expression, MetadataChange(b'{"m":1}'), lambda: True)
        assert (again.matched, again.updated, again.sequence) == (9, 0, done.sequence)


def test_a_change_that_is_not_wanted_any_more_goes_on_when_it_is_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanax.engine.shard.metadata_changes.MAX_BATCH_POINTS", 4)
    expression = parse_filter([{"field": "n", "operator": "exists"}])
    with Rig(folder, clock=Clock()) as rig:
        rig.upsert(list(range(10)), metadata=[{"n": number} for number in range(10)])
        answers = iter([True, True, False])
        with pytest.raises(Cancelled, match="8 points are changed"):
            rig.shard.metadata_changes.matching(expression, MetadataChange(b'{"m":1}'), lambda: next(answers))
        rig.reopen()
        done = rig.shard.metadata_changes.matching(expression, MetadataChange(b'{"m":1}'), lambda: True)
        assert (done.matched, done.updated) == (10, 2)
