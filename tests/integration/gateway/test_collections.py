"""Collections over REST: declared, placed, opened, described, withdrawn."""

from __future__ import annotations

import threading

from tests.integration.gateway.stack import Stack


def test_a_new_collection_takes_points_at_once(either: Stack) -> None:
    answer = either.post(
        "/api/v1/collections",
        {"name": "fresh", "dimension": 2, "metric": "euclidean", "shards": 2},
    )
    assert answer.status_code == 201
    made = either.data(answer)
    assert (made["name"], made["dimension"], made["metric"]) == ("fresh", 2, "euclidean")
    assert (made["shards"], made["embedding_model"], made["index"]) == (2, None, {"type": "auto"})
    assert (made["state"], made["points"]) == ("ready", 0)
    either.insert("fresh", [{"id": number, "vector": [number, 0]} for number in range(30)])
    described = either.data(either.client.get("/api/v1/collections/fresh"))
    assert described["points"] == 30
    assert [shard["shard"] for shard in described["shard_states"]] == [0, 1]
    assert {shard["node"] for shard in described["shard_states"]} == {"node-a", "node-b"}
    assert sum(shard["points"] for shard in described["shard_states"]) == 30
    assert described["uid"] == made["uid"]
    assert described["created_at"] == made["created_at"]


def test_collections_are_listed_by_name(either: Stack) -> None:
    either.create("list-b")
    either.create("list-a")
    listed = either.data(either.client.get("/api/v1/collections"))["collections"]
    names = [one["name"] for one in listed]
    assert names == sorted(names)
    assert {"list-a", "list-b"} <= set(names)
    assert all(one["state"] == "ready" for one in listed)


def test_a_deleted_collection_is_gone_and_its_name_is_free(either: Stack) -> None:
    first = either.create("again")
    either.insert("again", [{"id": 1, "vector": [1, 0, 0]}])
    deleted = either.data(either.client.delete("/api/v1/collections/again"))
    assert deleted == {"name": "again", "deleted": True}
    for answer in (
        either.client.get("/api/v1/collections/again"),
        either.client.delete("/api/v1/collections/again"),
        either.post("/api/v1/vectors/count", {"collection": "again"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "collection_not_found"
    second = either.create("again")
    assert second["uid"] != first["uid"]
    assert either.data(either.post("/api/v1/vectors/count", {"collection": "again"}))["count"] == 0


def test_of_many_creations_of_one_name_one_wins(either: Stack) -> None:
    statuses: list[int] = []

    def create() -> None:
        body = {"name": "contended", "dimension": 2}
        statuses.append(either.post("/api/v1/collections", body).status_code)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409, 409, 409, 409, 409]
