"""Aliases over REST: any request takes one, and a switch is seen whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.gateway.stack import Stack, running_stack


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("aliases"), create_timeout_s=3.0) as stack:
        for name in ("blue", "green"):
            stack.create(name)
            stack.insert(name, [{"id": 1, "vector": [1, 0, 0], "metadata": {"in": name}}])
        yield stack


@pytest.fixture
def stack(shared: Stack) -> Iterator[Stack]:
    """Without aliases after the test."""
    yield shared
    for alias in listed(shared):
        shared.data(shared.client.delete(f"/api/v1/aliases/{alias}"))


def listed(stack: Stack) -> dict[str, str]:
    aliases = stack.data(stack.client.get("/api/v1/aliases"))["aliases"]
    return {one["alias"]: one["collection"] for one in aliases}


def put(stack: Stack, alias: str, collection: str) -> httpx.Response:
    return stack.client.put(f"/api/v1/aliases/{alias}", json={"collection": collection})


def switch(stack: Stack, **targets: str | None) -> httpx.Response:
    changes = [{"alias": alias, "collection": name} for alias, name in targets.items()]
    return stack.post("/api/v1/aliases/switch", {"changes": changes})


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_alias_is_made_read_moved_and_removed(stack: Stack) -> None:
    assert stack.data(put(stack, "live", "blue")) == {"alias": "live", "collection": "blue"}
    assert stack.data(stack.client.get("/api/v1/aliases/live")) == {"alias": "live", "collection": "blue"}
    assert stack.data(put(stack, "other", "live"))["collection"] == "blue", "by an alias"
    assert stack.data(put(stack, "live", "green"))["collection"] == "green"
    assert listed(stack) == {"live": "green", "other": "blue"}
    assert stack.data(stack.client.get("/api/v1/collections/green"))["aliases"] == ["live"]
    assert stack.data(stack.client.delete("/api/v1/aliases/live")) == {"alias": "live", "deleted": True}
    assert refused(stack.client.get("/api/v1/aliases/live")) == (404, "alias_not_found")
    assert refused(stack.client.get("/api/v1/vectors/live/1")) == (404, "collection_not_found")


def test_every_request_takes_an_alias(stack: Stack) -> None:
    stack.data(put(stack, "live", "blue"))
    body: dict[str, Any] = {"collection": "live"}
    stack.insert("live", [{"id": 2, "vector": [0, 1, 0]}])
    assert stack.data(stack.post("/api/v1/vectors/count", {"collection": "blue"})) == {"count": 2}
    hits = stack.data(stack.post("/api/v1/vectors/search", body | {"vector": [1, 0, 0]}))["results"]
    assert [hit["id"] for hit in hits] == [1, 2]
    got = stack.data(stack.post("/api/v1/vectors/get", body | {"ids": [1]}))["vectors"][0]
    assert (got["metadata"], got["collection"]) == ({"in": "blue"}, "live")
    page = stack.data(stack.post("/api/v1/vectors/scroll", body | {"limit": 1}))
    assert page["next_cursor"]
    stack.data(stack.post("/api/v1/vectors/metadata", body | {"ids": [2], "merge": {"a": 1}}))
    stack.data(stack.client.patch("/api/v1/vectors/live/2/metadata", json={"b": 1}))
    assert stack.data(stack.client.get("/api/v1/vectors/live/2"))["metadata"] == {"a": 1, "b": 1}
    assert stack.data(stack.client.delete("/api/v1/vectors/live/2")) == {"deleted": 1}
    assert stack.data(stack.post("/api/v1/vectors/delete", body | {"ids": [2]})) == {"deleted": 0}
    assert stack.data(stack.client.get("/api/v1/collections/live"))["name"] == "blue"
    changed = stack.client.patch("/api/v1/collections/live", json={"target_recall": 0.9})
    assert stack.data(changed)["name"] == "blue"


def test_a_cursor_does_not_outlive_a_switch(stack: Stack) -> None:
    """It belongs to the collection that the alias stood for."""
    stack.data(put(stack, "live", "blue"))
    stack.insert("live", [{"id": 2, "vector": [0, 1, 0]}])
    body = {"collection": "live", "limit": 1}
    cursor = stack.data(stack.post("/api/v1/vectors/scroll", body))["next_cursor"]
    stack.data(put(stack, "live", "green"))
    assert refused(stack.post("/api/v1/vectors/scroll", body | {"cursor": cursor})) == (422, "invalid_cursor")


def test_names_are_collections_or_aliases(stack: Stack) -> None:
    stack.data(put(stack, "live", "blue"))
    assert refused(put(stack, "green", "blue")) == (409, "collection_exists")
    new = {"name": "live", "dimension": 3}
    assert refused(stack.post("/api/v1/collections", new)) == (409, "alias_exists")
    assert refused(put(stack, "live", "missing")) == (404, "collection_not_found")
    assert refused(put(stack, "live", "../x")) == (404, "collection_not_found")
    assert refused(put(stack, "Not-A-Name", "blue")) == (422, "invalid_argument")
    assert refused(stack.client.delete("/api/v1/aliases/missing")) == (404, "alias_not_found")
    assert refused(stack.client.put("/api/v1/aliases/live", json={})) == (422, "invalid_argument")
    twice = [{"alias": "live", "collection": name} for name in ("blue", "green")]
    assert refused(stack.post("/api/v1/aliases/switch", {"changes": twice})) == (422, "invalid_argument")
    assert refused(stack.post("/api/v1/aliases/switch", {"changes": []})) == (422, "invalid_argument")
    forgotten = {"changes": [{"alias": "live"}]}
    assert refused(stack.post("/api/v1/aliases/switch", forgotten)) == (422, "invalid_argument")
    assert listed(stack) == {"live": "blue"}


def test_a_refused_switch_changes_none(stack: Stack) -> None:
    stack.data(switch(stack, live="blue", spare="green"))
    assert refused(switch(stack, live="green", gone=None)) == (404, "alias_not_found")
    assert listed(stack) == {"live": "blue", "spare": "green"}


def test_a_collection_with_aliases_is_deleted_only_with_them(stack: Stack) -> None:
    stack.create("doomed")
    stack.data(switch(stack, one="doomed", two="doomed", live="blue"))
    for name in ("doomed", "one"):
        answer = stack.client.delete(f"/api/v1/collections/{name}")
        assert refused(answer) == (409, "collection_has_aliases")
        assert answer.json()["error"]["details"]["aliases"] == ["one", "two"]
    deleted = stack.client.delete("/api/v1/collections/doomed", params={"aliases": "delete"})
    assert stack.data(deleted) == {"name": "doomed", "deleted": True}
    assert listed(stack) == {"live": "blue"}
    assert refused(stack.client.get("/api/v1/vectors/one/1")) == (404, "collection_not_found")


def test_readers_see_the_old_or_the_new_of_a_switch(stack: Stack) -> None:
    """Under load: each request is answered whole, by the one collection or the other, never by none."""
    stack.data(switch(stack, live="blue"))
    ended = threading.Event()
    seen: list[tuple[str, str]] = []
    troubles: list[Any] = []

    def read() -> None:
        with httpx.Client(base_url=stack.gateway.url, timeout=30.0) as client:
            while not ended.is_set():
                answer = client.post(
                    "/api/v1/vectors/search", json={"collection": "live", "vector": [1, 0, 0]}
                ).json()
                try:
                    (hit,) = answer["data"]["results"]
                    seen.append((hit["metadata"]["in"], "hit"))
                except (TypeError, ValueError, KeyError):
                    troubles.append(answer)

    stack.post("/api/v1/vectors/delete", {"collection": "blue", "ids": [2]})
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(12):
        target = ("green", "blue")[number % 2]
        stack.data(switch(stack, live=target))
        # Whoever is answered afterwards sees the new one.
        got = stack.data(stack.client.get("/api/v1/vectors/live/1"))
        assert got["metadata"] == {"in": target}
    ended.set()
    for reader in readers:
        reader.join()
    assert troubles == []
    assert {name for name, _ in seen} == {"blue", "green"}


def test_a_collection_may_be_replaced_behind_an_alias_under_load(stack: Stack) -> None:
    """Made anew, switched to, and the old one deleted: no request in between finds nothing."""
    ended = threading.Event()
    troubles: list[Any] = []
    stack.create("version-0")
    stack.insert("version-0", [{"id": 1, "vector": [1, 0, 0]}])
    stack.data(put(stack, "current", "version-0"))

    def read() -> None:
        with httpx.Client(base_url=stack.gateway.url, timeout=30.0) as client:
            while not ended.is_set():
                answer = client.get("/api/v1/vectors/current/1")
                if answer.status_code != 200:
                    troubles.append(answer.json())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 5):
        stack.create(f"version-{number}")
        stack.insert(f"version-{number}", [{"id": 1, "vector": [1, 0, 0]}])
        stack.data(put(stack, "current", f"version-{number}"))
        stack.data(stack.client.delete(f"/api/v1/collections/version-{number - 1}"))
    ended.set()
    reader.join()
    assert troubles == []
