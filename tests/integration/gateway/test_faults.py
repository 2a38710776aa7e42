"""Shards that are away, slow, full or dying: a retry in time, or a clear refusal. Never half an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hanax.core.errors import DataLoss, HanaxError, Overloaded, StorageFull, Unavailable
from hanax.core.ids import encode_id, slot_of
from hanax.core.limits import SLOTS
from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.memory_node import MemoryNode
from tests.integration.gateway.stack import Stack, free_port, running_stack
from tests.integration.waiting import wait_until

REQUEST_TIMEOUT_S = 1.5
POINTS: list[dict[str, Any]] = [{"id": number, "vector": [1.0, number, 0.0]} for number in range(40)]
BY_FILTER = {"filter": {"field": "a", "operator": "exists"}}


def _shard_of(point_id: int | str) -> int:
    """Of two shards, the first has the lower half of the slots."""
    return slot_of(encode_id(point_id)) * 2 // SLOTS


ON_SECOND = [point["id"] for point in POINTS if _shard_of(point["id"]) == 1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its model lives at an address where nobody listens."""
    away = ModelRoute(name="away", dimension=3, max_tokens=8, endpoints=(f"127.0.0.1:{free_port()}",))
    folder = tmp_path_factory.mktemp("faults")
    with running_stack(
        folder,
        request_timeout_s=REQUEST_TIMEOUT_S,
        embed_timeout_s=REQUEST_TIMEOUT_S,
        create_timeout_s=REQUEST_TIMEOUT_S,
        # So that every search meets the faults.
        cache="off",
    ) as stack:
        stack.reconciler.models = (away,)
        wait_until("the gateway to know the model", lambda: "away" in stack.client.get("/ready").text)
        stack.create("faults")
        stack.create("texts", embedding_model="away")
        stack.insert("faults", POINTS)
        yield stack


@pytest.fixture
def stack(shared: Stack) -> Iterator[Stack]:
    """Whole again after the test."""
    yield shared
    for node in shared.nodes:
        node.stop()
        node.start()
    wait_until(
        "the shards to answer",
        lambda: shared.client.get("/api/v1/collections/faults").json()["data"]["state"] == "ready",
    )


@pytest.fixture
def second(stack: Stack) -> MemoryNode:
    """The node of the second shard of `faults`."""
    route = stack.reconciler.table.collection_by_name["faults"]
    (name,) = route.shards[1].replicas
    return next(node for node in stack.nodes if node.name == name)


def _search(stack: Stack) -> httpx.Response:
    body = {"collection": "faults", "vector": [1, 1, 0], "limit": 5}
    return stack.post("/api/v1/vectors/search", body)


def _refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["data"] is None
    return answer.status_code, body["error"]["code"]


READS: dict[str, dict[str, Any]] = {
    "search": {"vector": [1, 1, 0]},
    "count": {},
    "scroll": {},
    "get": {"ids": [point["id"] for point in POINTS]},
}


@pytest.mark.parametrize("operation", READS)
def test_a_read_without_one_shard_is_refused(stack: Stack, second: MemoryNode, operation: str) -> None:
    second.stop()
    began = time.monotonic()
    answer = stack.post(f"/api/v1/vectors/{operation}", {"collection": "faults"} | READS[operation])
    assert _refusal(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "shard 1 of collection 'faults'" in answer.json()["error"]["message"]
    assert answer.json()["error"]["details"]["shard"] == 1
    assert time.monotonic() - began < REQUEST_TIMEOUT_S + 1.0


def test_points_of_other_shards_are_still_read(stack: Stack, second: MemoryNode) -> None:
    second.stop()
    on_first = next(point["id"] for point in POINTS if _shard_of(point["id"]) == 0)
    assert stack.client.get(f"/api/v1/vectors/faults/{on_first}").status_code == 200


def test_a_shard_that_restarts_in_time_is_waited_for(stack: Stack, second: MemoryNode) -> None:
    whole = stack.data(_search(stack))
    second.stop()
    restart = threading.Timer(0.4, second.start)
    restart.start()
    try:
        assert stack.data(_search(stack)) == whole
    finally:
        restart.join()


def test_a_shard_that_is_not_open_yet_is_asked_again(stack: Stack, second: MemoryNode) -> None:
    second.faults.error = Unavailable("not open yet")
    second.faults.failures_left = 2
    before = second.calls["Search"]
    assert _search(stack).status_code == 200
    assert second.calls["Search"] - before == 3


def test_a_call_that_is_cut_off_is_made_again(stack: Stack, second: MemoryNode) -> None:
    """The node dies with the call inside, and comes back."""
    second.faults.delay_s = 30.0
    before = second.calls["Search"]

    def restart() -> None:
        wait_until("the search to arrive", lambda: second.calls["Search"] > before)
        second.stop()
        second.start()

    dying = threading.Thread(target=restart)
    dying.start()
    try:
        assert stack.data(_search(stack))["results"]
    finally:
        dying.join()


def test_a_slow_shard_meets_the_deadline(stack: Stack, second: MemoryNode) -> None:
    second.faults.delay_s = 30.0
    began = time.monotonic()
    answer = _search(stack)
    assert _refusal(answer) == (504, "deadline_exceeded")
    assert REQUEST_TIMEOUT_S * 0.9 < time.monotonic() - began < REQUEST_TIMEOUT_S + 1.0


def test_a_shard_that_moved_is_found_at_its_new_address(stack: Stack, second: MemoryNode) -> None:
    second.stop()
    second.address = f"127.0.0.1:{free_port()}"
    second.start()
    assert _search(stack).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataLoss("a byte is wrong"), 500),
        (Overloaded("too much"), 429),
        (StorageFull("no space"), 507),
    ],
)
def test_what_a_shard_names_is_passed_on(
    stack: Stack, second: MemoryNode, error: HanaxError, status: int
) -> None:
    second.faults.error = error
    second.faults.failures_left = 1
    answer = _search(stack)
    assert _refusal(answer) == (status, error.code)
    assert error.message in answer.json()["error"]["message"]
    assert ("Retry-After" in answer.headers) == (status == 429)


def test_an_insert_that_one_shard_misses_names_its_points(stack: Stack, second: MemoryNode) -> None:
    stack.create("partial")
    second.stop()
    body = {"collection": "partial", "vectors": POINTS}
    answer = stack.post("/api/v1/vectors/insert", body)
    assert _refusal(answer) == (503, "partial_write")
    assert answer.headers["Retry-After"] == "1"
    details = answer.json()["error"]["details"]
    assert [failed["id"] for failed in details["failed"]] == ON_SECOND
    assert {failed["code"] for failed in details["failed"]} == {"unavailable"}
    stored = len(POINTS) - len(ON_SECOND)
    assert (details["stored"], details["inserted"], details["updated"]) == (stored, stored, 0)
    assert details["ids"] == [point["id"] for point in POINTS]
    second.start()
    again = stack.data(stack.post("/api/v1/vectors/insert", body))
    assert (again["inserted"], again["updated"]) == (len(ON_SECOND), stored)
    stack.client.delete("/api/v1/collections/partial")


def test_a_partial_insert_names_the_ids_that_the_gateway_made(stack: Stack, second: MemoryNode) -> None:
    second.faults.error = StorageFull("no space")
    second.faults.failures_left = 1
    points = [{"vector": [1, 0, 0]} for _ in range(40)]
    answer = stack.post("/api/v1/vectors/insert", {"collection": "faults", "vectors": points})
    details = answer.json()["error"]["details"]
    failed = [one["id"] for one in details["failed"]]
    assert len(details["ids"]) == 40
    assert failed == [made for made in details["ids"] if _shard_of(made) == 1]
    assert {one["code"] for one in details["failed"]} == {"storage_full"}
    stack.post("/api/v1/vectors/delete", {"collection": "faults", "ids": details["ids"]})


def test_an_insert_that_nobody_stored_is_that_error_itself(stack: Stack) -> None:
    for node in stack.nodes:
        node.faults.error = StorageFull("no space")
        node.faults.failures_left = 1
    answer = stack.post("/api/v1/vectors/insert", {"collection": "faults", "vectors": POINTS})
    assert _refusal(answer) == (507, "storage_full")


def test_a_delete_by_ids_that_one_shard_misses_names_its_points(stack: Stack, second: MemoryNode) -> None:
    ids = [point["id"] for point in POINTS]
    second.faults.error = StorageFull("no space")
    second.faults.failures_left = 1
    answer = stack.post("/api/v1/vectors/delete", {"collection": "faults", "ids": ids})
    assert _refusal(answer) == (503, "partial_write")
    details = answer.json()["error"]["details"]
    assert [failed["id"] for failed in details["failed"]] == ON_SECOND
    assert details["deleted"] == len(POINTS) - len(ON_SECOND)
    stack.insert("faults", POINTS)


def test_a_delete_by_filter_that_one_shard_misses_says_so(stack: Stack, second: MemoryNode) -> None:
    second.faults.error = StorageFull("no space")
    second.faults.failures_left = 1
    body: dict[str, Any] = {"collection": "faults"} | BY_FILTER
    answer = stack.post("/api/v1/vectors/delete", body)
    assert _refusal(answer) == (503, "partial_write")
    details = answer.json()["error"]["details"]
    assert details["failed_shards"] == [{"shard": 1, "code": "storage_full"}]


def test_texts_without_their_model_are_refused_and_nothing_is_written(stack: Stack) -> None:
    writes = stack.writes
    body = {"collection": "texts", "vectors": [{"text": "a"}, {"vector": [1, 0, 0]}]}
    answer = stack.post("/api/v1/vectors/insert", body)
    assert _refusal(answer) == (503, "unavailable")
    assert "embedding model 'away'" in answer.json()["error"]["message"]
    assert _refusal(stack.post("/api/v1/vectors/search", {"collection": "texts", "text": "a"})) == (
        503,
        "unavailable",
    )
    assert stack.writes == writes


def test_a_description_says_which_shard_is_away(stack: Stack, second: MemoryNode) -> None:
    second.stop()
    described = stack.data(stack.client.get("/api/v1/collections/faults"))
    assert (described["state"], described["points"]) == ("degraded", None)
    first, other = described["shard_states"]
    assert (first["state"], first["points"]) == ("ready", len(POINTS) - len(ON_SECOND))
    assert (other["state"], other["node"]) == ("unavailable", second.name)
    assert other["reason"]


def test_a_collection_whose_shard_does_not_open_is_not_said_to_be_ready(
    stack: Stack, second: MemoryNode
) -> None:
    second.stop()
    body = {"name": "unopened", "dimension": 3, "shards": 2}
    answer = stack.post("/api/v1/collections", body)
    assert _refusal(answer) == (504, "deadline_exceeded")
    assert "opened by every shard" in answer.json()["error"]["message"]
    second.start()
    wait_until(
        "the collection to be ready",
        lambda: stack.client.get("/api/v1/collections/unopened").json()["data"]["state"] == "ready",
    )
    assert _refusal(stack.post("/api/v1/collections", body)) == (409, "collection_exists")
    stack.client.delete("/api/v1/collections/unopened")


def test_a_collection_that_nobody_places_is_pending(stack: Stack) -> None:
    stack.reconciler.paused.set()
    try:
        answer = stack.post("/api/v1/collections", {"name": "waiting", "dimension": 3})
        assert _refusal(answer) == (504, "deadline_exceeded")
        assert "placed on shards" in answer.json()["error"]["message"]
        described = stack.data(stack.client.get("/api/v1/collections/waiting"))
        assert (described["state"], described["points"]) == ("pending", None)
        listed = stack.data(stack.client.get("/api/v1/collections"))["collections"]
        assert {one["name"]: one["state"] for one in listed}["waiting"] == "pending"
        insert = {"collection": "waiting", "vectors": POINTS}
        assert _refusal(stack.post("/api/v1/vectors/insert", insert)) == (
            404,
            "collection_not_found",
        )
    finally:
        stack.reconciler.paused.clear()
    wait_until(
        "the collection to be placed",
        lambda: stack.client.get("/api/v1/collections/waiting").json()["data"]["state"] == "ready",
    )
    assert stack.client.delete("/api/v1/collections/waiting").status_code == 200


def test_readiness_names_the_part_that_is_not_ready(stack: Stack, second: MemoryNode) -> None:
    def nodes() -> Any:
        body = stack.client.get("/ready").json()
        return body["error"]["details"]["nodes"]

    second.stop()
    wait_until("the node to be missed", lambda: nodes()[second.name] != "ok")
    answer = stack.client.get("/ready")
    assert _refusal(answer) == (503, "unavailable")
    assert f"node {second.name} does not answer" in answer.json()["error"]["message"]
    # The embedding model of this stack is always away.
    assert "model away does not answer" in answer.json()["error"]["message"]
    assert stack.client.get("/health").status_code == 200
    second.start()
    second.set_ready(False)
    wait_until("the node to say so", lambda: "not ready" in nodes()[second.name])
    second.set_ready(True)
    wait_until("the node to be ready", lambda: nodes()[second.name] == "ok")
