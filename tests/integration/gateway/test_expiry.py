"""Points that expire, over REST: by the collection's life, by their own, and after their moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.integration.gateway.stack import Stack
from tests.integration.waiting import wait_until

VECTOR = [1.0, 2.0, 3.0]
LATE = "2131-01-31T10:00:00Z"


def get(stack: Stack, name: str, ids: list[int]) -> dict[int, Any]:
    data = stack.data(stack.post("/api/v1/vectors/get", {"collection": name, "ids": ids}))
    return {one["id"]: one for one in data["vectors"]}


def test_points_are_there_for_as_long_as_they_or_the_collection_say(shards: Stack) -> None:
    name = "short-lives"
    created = shards.create(name, ttl_seconds=1)
    assert created["ttl_seconds"] == 1
    shards.insert(name, [{"id": 1, "vector": VECTOR}, {"id": 2, "vector": VECTOR, "expires_at": LATE}])

    def alone() -> bool:
        searched = shards.post("/api/v1/vectors/search", {"collection": name, "vector": VECTOR})
        (*found,) = (one["id"] for one in shards.data(searched)["results"])
        return found == [2]

    wait_until("the end of a point", alone)
    assert list(get(shards, name, [1, 2])) == [2]
    assert get(shards, name, [2])[2]["expires_at"].startswith("2131-01-31T10:00:00")
    counted = shards.data(shards.post("/api/v1/vectors/count", {"collection": name}))
    assert counted["count"] == 1
    # Its id is free again.
    body = {
        "collection": name,
        "mode": "insert",
        "vectors": [{"id": 1, "vector": VECTOR, "ttl_seconds": 900}],
    }
    answer = shards.data(shards.post("/api/v1/vectors/insert", body))
    assert answer["skipped"] == []
    expires_at = datetime.fromisoformat(get(shards, name, [1])[1]["expires_at"])
    assert 0 < (expires_at - datetime.now(UTC)).total_seconds() <= 900


def test_searches_and_pages_tell_when_points_expire(shards: Stack) -> None:
    name = "told-expiry"
    shards.create(name)
    shards.insert(name, [{"id": 1, "vector": VECTOR}, {"id": 2, "vector": VECTOR, "expires_at": LATE}])
    searched = shards.post("/api/v1/vectors/search", {"collection": name, "vector": VECTOR})
    scrolled = shards.post("/api/v1/vectors/scroll", {"collection": name})
    for found in (shards.data(searched)["results"], shards.data(scrolled)["vectors"]):
        by_id = {one["id"]: one for one in found}
        assert "expires_at" not in by_id[1]
        assert by_id[2]["expires_at"].startswith("2131-01-31")


@pytest.mark.parametrize("expiry", [{"expires_at": "2001-01-01"}, {"expires_at": 7}, {"ttl_seconds": 0}])
def test_bad_times_are_refused(shards: Stack, expiry: dict[str, object]) -> None:
    name = f"bad-expiry-{next(iter(expiry)).replace('_', '-')}-{len(str(expiry))}"
    shards.create(name)
    body = {"collection": name, "vectors": [{"id": 1, "vector": VECTOR} | expiry]}
    answer = shards.post("/api/v1/vectors/insert", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_expiry"
    assert get(shards, name, [1]) == {}


def test_points_that_are_there_get_another_end(shards: Stack) -> None:
    name = "changed-expiry"
    shards.create(name, ttl_seconds=900)
    shards.insert(name, [{"id": number, "vector": VECTOR} for number in (1, 2)])

    def change(**asked: object) -> httpx.Response:
        return shards.post("/api/v1/vectors/metadata", {"collection": name} | asked)

    assert shards.data(change(ids=[1, 2], expires_at=LATE, merge={"a": 1}))["updated"] == 2
    assert shards.data(change(ids=[1, 2], expires_at=LATE))["updated"] == 0
    everything = {"field": "a", "operator": "eq", "value": 1}
    assert shards.data(change(filter=everything, merge={"a": 2}))["updated"] == 2
    assert {one["expires_at"][:4] for one in get(shards, name, [1, 2]).values()} == {"2131"}
    assert shards.data(change(ids=[1], expires_at=None))["updated"] == 1
    assert "expires_at" not in get(shards, name, [1])[1]
    for bad in ("2001-01-01", 7, "soon"):
        assert change(ids=[1], expires_at=bad).json()["error"]["code"] == "invalid_expiry"
