"""Versions, modes, conditions and changes of metadata over REST, on a dictionary and on the engine."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from hanax.core.errors import Unavailable
from hanax.core.ids import encode_id, slot_of
from hanax.core.limits import SLOTS
from tests.integration.gateway.stack import Stack, running_stack

_numbers = itertools.count()
IDS = list(range(12))


def shard_of(point_id: int) -> int:
    """Of two shards, the first has the lower half of the slots."""
    return slot_of(encode_id(point_id)) * 2 // SLOTS


FIRST = [id_ for id_ in IDS if shard_of(id_) == 0]
SECOND = [id_ for id_ in IDS if shard_of(id_) == 1]


@pytest.fixture
def collection(either: Stack) -> str:
    name = f"writes-{next(_numbers)}"
    either.create(name)
    return name


def point(id_: int, number: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": id_, "vector": [1.0, number + 1.0, 0.0], "metadata": {"number": number}} | more


def insert(stack: Stack, name: str, points: list[dict[str, Any]], **more: Any) -> httpx.Response:
    return stack.post("/api/v1/vectors/insert", {"collection": name, "vectors": points} | more)


def get(stack: Stack, name: str, ids: list[int]) -> dict[int, tuple[int, Mapping[str, Any]]]:
    """Version and metadata by id."""
    data = stack.data(stack.post("/api/v1/vectors/get", {"collection": name, "ids": ids}))
    return {one["id"]: (one["version"], one["metadata"]) for one in data["vectors"]}


def refusal(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body = answer.json()
    assert (answer.status_code, body["error"]["code"]) == (status, code), body
    details: dict[str, Any] = body["error"]["details"]
    return details


def test_versions_are_told_by_writes_and_reads(either: Stack, collection: str) -> None:
    done = either.data(insert(either, collection, [point(id_) for id_ in IDS]))
    assert all(version > 0 for version in done["versions"])
    assert done["skipped"] == []
    found = get(either, collection, IDS)
    assert [found[id_][0] for id_ in done["ids"]] == done["versions"]
    one = either.data(either.client.get(f"/api/v1/vectors/{collection}/3"))
    assert one["version"] == found[3][0]
    body: dict[str, Any] = {"collection": collection, "include_version": True}
    hits = either.data(either.post("/api/v1/vectors/search", body | {"vector": [1, 0, 0], "limit": 12}))
    page = either.data(either.post("/api/v1/vectors/scroll", body))
    for told in (hits["results"], page["vectors"]):
        assert {hit["id"]: hit["version"] for hit in told} == {id_: found[id_][0] for id_ in IDS}
    path = f"/api/v1/vectors/{collection}/3/metadata"
    changed = either.data(either.client.patch(path, json={"new": True}))
    assert changed["version"] > found[3][0]
    assert get(either, collection, [3])[3] == (changed["version"], {"number": 0, "new": True})


def test_versions_are_left_out_where_they_are_not_asked_for(either: Stack, collection: str) -> None:
    insert(either, collection, [point(1)])
    asked = {"collection": collection, "ids": [1], "include_version": False}
    assert "version" not in either.data(either.post("/api/v1/vectors/get", asked))["vectors"][0]
    hits = either.data(either.post("/api/v1/vectors/search", {"collection": collection, "vector": [1, 0, 0]}))
    assert "version" not in hits["results"][0]


def test_insert_writes_only_what_is_new(either: Stack, collection: str) -> None:
    insert(either, collection, [point(id_) for id_ in IDS[:6]])
    before = get(either, collection, IDS[:6])
    done = either.data(insert(either, collection, [point(id_, 7) for id_ in IDS], mode="insert"))
    assert (done["inserted"], done["updated"], done["skipped"]) == (6, 0, IDS[:6])
    assert done["versions"][:6] == [None] * 6
    after = get(either, collection, IDS)
    assert {id_: after[id_] for id_ in IDS[:6]} == before
    assert [after[id_][0] for id_ in IDS[6:]] == done["versions"][6:]


def test_update_writes_only_what_is_there(either: Stack, collection: str) -> None:
    insert(either, collection, [point(id_) for id_ in IDS[:6]])
    done = either.data(insert(either, collection, [point(id_, 7) for id_ in IDS], mode="update"))
    assert (done["inserted"], done["updated"], done["skipped"]) == (0, 6, IDS[6:])
    found = get(either, collection, IDS)
    assert {id_: metadata["number"] for id_, (_, metadata) in found.items()} == dict.fromkeys(IDS[:6], 7)


def test_a_conflict_refuses_its_shards_part_and_names_the_points(either: Stack, collection: str) -> None:
    done = either.data(insert(either, collection, [point(id_) for id_ in IDS]))
    versions = dict(zip(done["ids"], done["versions"], strict=True))
    stale = FIRST[0]
    batch = [point(id_, 7, if_version=versions[id_] + (id_ == stale)) for id_ in IDS]
    details = refusal(insert(either, collection, batch), 409, "version_conflict")
    assert details["conflicts"] == [{"id": stale, "expected": versions[stale] + 1, "found": versions[stale]}]
    assert {one["id"] for one in details["failed"]} == set(FIRST)
    assert (details["stored"], details["ids"]) == (len(SECOND), IDS)
    found = get(either, collection, IDS)
    assert {id_: found[id_][1]["number"] for id_ in IDS} == {id_: 7 * (id_ in SECOND) for id_ in IDS}
    told = dict(zip(IDS, details["versions"], strict=True))
    assert told == {id_: found[id_][0] if id_ in SECOND else None for id_ in IDS}


def test_version_0_means_that_there_is_no_such_point(either: Stack, collection: str) -> None:
    assert either.data(insert(either, collection, [point(1, if_version=0)]))["inserted"] == 1
    details = refusal(insert(either, collection, [point(1, if_version=0)]), 409, "version_conflict")
    assert details["stored"] == 0
    refusal(insert(either, collection, [point(2, if_version=5)]), 409, "version_conflict")


def test_one_point_is_changed_and_deleted_if_it_has_the_version(either: Stack, collection: str) -> None:
    version = either.data(insert(either, collection, [point(1)]))["versions"][0]
    path = f"/api/v1/vectors/{collection}/1"
    for method in ("PATCH", "PUT"):
        answer = either.client.request(
            method, f"{path}/metadata", params={"if_version": version + 1}, json={"a": 1}
        )
        refusal(answer, 409, "version_conflict")
    refusal(either.client.delete(path, params={"if_version": version + 1}), 409, "version_conflict")
    assert get(either, collection, [1]) == {1: (version, {"number": 0})}
    answer = either.client.put(f"{path}/metadata", params={"if_version": version}, json={"a": 1})
    version = either.data(answer)["version"]
    assert either.data(either.client.delete(path, params={"if_version": version})) == {"deleted": 1}
    for gone in (
        either.client.delete(path, params={"if_version": version}),
        either.client.patch(f"{path}/metadata", params={"if_version": version}, json={}),
    ):
        refusal(gone, 404, "point_not_found")
    refusal(either.client.delete(path, params={"if_version": -1}), 422, "invalid_argument")


def test_of_writers_with_the_same_version_one_wins(shards: Stack) -> None:
    """Two clients read, count up and write if nobody else has; nothing is lost."""
    shards.create("counted")
    insert(shards, "counted", [point(1)])

    def count_up() -> None:
        with httpx.Client(base_url=shards.gateway.url, timeout=30.0) as client:
            counted = 0
            while counted < 10:
                one = client.get("/api/v1/vectors/counted/1").json()["data"]
                answer = client.patch(
                    "/api/v1/vectors/counted/1/metadata",
                    params={"if_version": one["version"]},
                    json={"number": one["metadata"]["number"] + 1},
                )
                assert answer.status_code in (200, 409)
                counted += answer.status_code == 200

    threads = [threading.Thread(target=count_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(shards, "counted", [1])[1][1] == {"number": 20}


def change(stack: Stack, name: str, **asked: Any) -> httpx.Response:
    return stack.post("/api/v1/vectors/metadata", {"collection": name} | asked)


def test_metadata_of_many_points_are_changed(either: Stack, collection: str) -> None:
    insert(either, collection, [point(id_, id_, metadata={"n": id_, "a": {"b": 1, "c": 2}}) for id_ in IDS])
    before = get(either, collection, IDS)
    done = either.data(change(either, collection, ids=[3, 99, 4], merge={"x": [1]}, delete=["a.b", "no"]))
    assert (done["matched"], done["updated"], done["ids"], done["missing"]) == (2, 2, [3, 4], [99])
    found = get(either, collection, IDS)
    assert done["versions"] == [found[3][0], found[4][0]]
    assert found[3][1] == {"n": 3, "a": {"c": 2}, "x": [1]}
    assert found[5] == before[5]
    by_filter = {"field": "n", "operator": "gte", "value": 6}
    done = either.data(change(either, collection, filter=by_filter, replace={"n": 6}))
    assert done == {"matched": 6, "updated": 6}
    assert [metadata for _, metadata in get(either, collection, IDS[6:]).values()] == [{"n": 6}] * 6
    assert either.data(change(either, collection, filter=by_filter, merge={"n": 6})) == {
        "matched": 6,
        "updated": 0,
    }


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"merge": {"a": 1}}, "invalid_argument"),
        ({"ids": [1], "filter": {"field": "a", "operator": "exists"}, "merge": {}}, "invalid_argument"),
        ({"ids": [1]}, "invalid_argument"),
        ({"ids": [1], "merge": {}, "replace": {}}, "invalid_argument"),
        ({"ids": [1], "delete": ["a"], "replace": {}}, "invalid_argument"),
        ({"ids": [1], "delete": []}, "invalid_argument"),
        ({"ids": [1], "delete": ["a..b"]}, "invalid_argument"),
        ({"ids": [1], "delete": ["a"] * 65}, "invalid_argument"),
        ({"ids": [1], "merge": []}, "invalid_metadata"),
        ({"ids": [1], "merge": {"a": float("inf")}}, "invalid_metadata"),
        ({"ids": [1], "merge": {"a": "x" * 70_000}}, "metadata_too_large"),
        ({"ids": [1.5], "merge": {}}, "invalid_id"),
        ({"filter": {"field": "a"}, "merge": {}}, "invalid_filter"),
    ],
)
def test_a_bad_change_of_metadata_is_refused(unwritten: Stack, asked: dict[str, Any], code: str) -> None:

    body = json.dumps({"collection": "bad"} | asked)
    refusal(unwritten.client.post("/api/v1/vectors/metadata", content=body), 422, code)


@pytest.mark.parametrize(
    ("more", "if_version"),
    [
        ({"mode": "replace"}, None),
        ({"mode": None}, None),
        ({"mode": "insert"}, 1),
        ({}, -1),
        ({}, 2**63),
        ({}, 2**70),
        ({}, 1.0),
        ({}, True),
        ({}, "1"),
    ],
)
def test_a_bad_condition_is_refused(unwritten: Stack, more: dict[str, Any], if_version: object) -> None:
    refusal(insert(unwritten, "bad", [point(1, if_version=if_version)], **more), 422, "invalid_argument")


def test_a_conflict_beside_a_shard_that_is_away_is_told_as_a_conflict(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Sending the whole again can't succeed: the conflict is what the user has to know."""
    folder = tmp_path_factory.mktemp("conflict")
    with running_stack(folder, request_timeout_s=1.0) as stack:
        stack.create("docs")
        insert(stack, "docs", [point(FIRST[0])])
        place = stack.reconciler.table.collection_by_name["docs"].shards[1].replicas[0]
        for node in stack.nodes:
            if node.name == place:
                node.faults.error, node.faults.failures_left = Unavailable("away"), 1_000
        batch = [point(FIRST[0], if_version=0), point(SECOND[0])]
        details = refusal(insert(stack, "docs", batch), 409, "version_conflict")
        assert {(one["id"], one["code"]) for one in details["failed"]} == {
            (FIRST[0], "version_conflict"),
            (SECOND[0], "unavailable"),
        }
