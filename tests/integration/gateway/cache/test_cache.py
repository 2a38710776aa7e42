"""The cache of one gateway, in its memory: what a client sees of it, and that no write is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import pytest

from hanax.core.errors import DeadlineExceeded, Internal
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.waiting import wait_until

V1 = "/api/v1/vectors"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("cache")) as running:
        yield running


_NUMBERS = count(1)


@pytest.fixture
def name(stack: Stack) -> str:
    """A collection of the test's own, with ten points."""
    made = f"docs-{next(_NUMBERS)}"
    stack.create(made)
    points = [{"id": n, "vector": [1.0, n, 0.0], "metadata": {"n": n, "even": n % 2 == 0}} for n in range(10)]
    stack.insert(made, points)
    return made


def ask(stack: Stack, path: str, headers: Any = None, **body: Any) -> httpx.Response:
    answer = stack.client.post(f"{V1}/{path}", json=body, headers=headers or {})
    assert answer.is_success, answer.text
    assert answer.json()["cached"] is (answer.headers.get("X-Cache") == "HIT")
    return answer


def searched(stack: Stack) -> int:
    return sum(count for node in stack.nodes for count in node.calls.values())


READS: list[tuple[str, dict[str, Any]]] = [
    ("search", {"vector": [1.0, 2.0, 0.0], "limit": 3}),
    ("search", {"id": 3, "limit": 3, "include_vectors": True, "include_version": True}),
    ("search", {"vector": [1.0, 2.0, 0.0], "offset": 2, "include_total": True, "filter": {"even": True}}),
    ("search", {"vector": [1.0, 2.0, 0.0], "mmr": {"diversity": 0.5}}),
    ("search/batch", {"queries": [{"vector": [1.0, 0.0, 0.0]}, {"id": 2}]}),
    ("recommend", {"positive": [1], "negative": [[0.0, 1.0, 0.0]]}),
    ("count", {}),
    ("count", {"filter": {"n": {"$gte": 4}}}),
    ("search/groups", {"vector": [1.0, 2.0, 0.0], "group_by": "even"}),
    ("recommend", {"positive": [1, 2], "negative": [3], "strategy": "best_score"}),
    ("facet", {"field": "even"}),
    ("distinct", {"field": "n", "limit": 3}),
]


@pytest.mark.parametrize(("path", "body"), READS)
def test_an_answer_that_is_kept_is_the_answer(shards: Stack, path: str, body: dict[str, Any]) -> None:
    """On the engine: byte for byte what was answered before, but for what tells of the request."""
    name = "kept-answers"
    if shards.client.get(f"/api/v1/collections/{name}").status_code == 404:
        shards.create(name)
        points = [
            {"id": n, "vector": [1.0, n, 0.0], "metadata": {"n": n, "even": n % 2 == 0, "big": 2**63 + n}}
            for n in range(10)
        ]
        shards.insert(name, points)
    first = ask(shards, path, {"Cache-Control": "no-cache"}, collection=name, **body)
    assert first.headers["X-Cache"] == "MISS"
    assert "Age" not in first.headers
    second = ask(shards, path, collection=name, **body)
    assert second.headers["X-Cache"] == "HIT"
    assert int(second.headers["Age"]) >= 0
    assert "cache;dur=" in second.headers["Server-Timing"]
    assert "shard;dur=" not in second.headers["Server-Timing"]
    one, other = (answer.content.split(b'"error"')[0] for answer in (first, second))
    assert one == other


WRITES: list[tuple[str, Callable[[Stack, str], httpx.Response]]] = [
    ("insert", lambda s, n: s.post(f"{V1}/insert", {"collection": n, "vectors": [{"vector": [1, 2, 3]}]})),
    ("delete by id", lambda s, n: s.post(f"{V1}/delete", {"collection": n, "ids": [1]})),
    ("delete by filter", lambda s, n: s.post(f"{V1}/delete", {"collection": n, "filter": {"n": 2}})),
    ("delete one", lambda s, n: s.client.delete(f"{V1}/{n}/3")),
    (
        "metadata by id",
        lambda s, n: s.post(f"{V1}/metadata", {"collection": n, "ids": [1], "merge": {"n": 99}}),
    ),
    (
        "metadata by filter",
        lambda s, n: s.post(f"{V1}/metadata", {"collection": n, "filter": {"n": 5}, "merge": {"n": 99}}),
    ),
    ("metadata of one", lambda s, n: s.client.patch(f"{V1}/{n}/1/metadata", json={"n": 99})),
    ("metadata replaced", lambda s, n: s.client.put(f"{V1}/{n}/1/metadata", json={"n": 99})),
]


@pytest.mark.parametrize("write", [write for _, write in WRITES], ids=[title for title, _ in WRITES])
def test_every_write_voids_what_is_kept_of_its_collection(
    stack: Stack, name: str, write: Callable[[Stack, str], httpx.Response]
) -> None:
    reads: list[tuple[str, dict[str, Any]]] = [("search", {"vector": [1, 2, 0]}), ("count", {})]
    for path, body in reads:
        ask(stack, path, collection=name, **body)
        assert ask(stack, path, collection=name, **body).headers["X-Cache"] == "HIT"
    assert write(stack, name).is_success
    for path, body in reads:
        assert ask(stack, path, collection=name, **body).headers["X-Cache"] == "MISS"


def test_a_write_to_one_collection_leaves_the_others_alone(stack: Stack, name: str) -> None:
    stack.create(f"{name}-other")
    ask(stack, "count", collection=name)
    stack.insert(f"{name}-other", [{"vector": [1, 2, 3]}])
    assert ask(stack, "count", collection=name).headers["X-Cache"] == "HIT"


def test_a_collection_made_anew_has_nothing_of_the_old_one(stack: Stack, name: str) -> None:
    assert ask(stack, "count", collection=name).json()["data"]["count"] == 10
    assert stack.client.delete(f"/api/v1/collections/{name}").is_success
    stack.create(name)
    assert ask(stack, "count", collection=name).json()["data"]["count"] == 0


def test_an_alias_shares_its_collections_answers(stack: Stack, name: str) -> None:
    alias = f"{name}-alias"
    assert stack.client.put(f"/api/v1/aliases/{alias}", json={"collection": name}).is_success
    ask(stack, "count", collection=name)
    assert ask(stack, "count", collection=alias).headers["X-Cache"] == "HIT"
    stack.insert(alias, [{"vector": [1, 2, 3]}])
    assert ask(stack, "count", collection=name).json()["data"]["count"] == 11


def test_spellings_of_one_request_share_its_answer(stack: Stack, name: str) -> None:
    vector = [1.0, 2.0, 0.0]
    ask(stack, "search", collection=name, vector=vector, filter=[{"n": {"$gte": 2}}, {"even": True}])
    spelt = {
        "filter": {
            "and": [
                {"field": "even", "operator": "eq", "value": True},
                {"value": 2, "operator": "gte", "field": "n"},
            ]
        },
        "limit": 10,
        "vector": [1, 2, 0],
        "collection": name,
    }
    assert ask(stack, "search", **spelt).headers["X-Cache"] == "HIT"
    assert ask(stack, "search", **{**spelt, "limit": 9}).headers["X-Cache"] == "MISS"


def test_cache_control_is_obeyed(stack: Stack, name: str) -> None:
    def outcome(control: str) -> str | None:
        found: str | None = ask(stack, "count", {"Cache-Control": control}, collection=name).headers.get(
            "X-Cache"
        )
        return found

    assert outcome("no-store") is None
    assert outcome("max-age=60") == "MISS"
    assert outcome("max-age=60") == "HIT"
    assert outcome("no-cache") == "MISS"
    assert outcome("no-store") is None
    assert outcome("") == "HIT"


def test_explanations_and_pages_are_not_kept(stack: Stack, name: str) -> None:
    for _ in range(2):
        assert "X-Cache" not in ask(stack, "search", collection=name, vector=[1, 0, 0], explain=True).headers
        assert "X-Cache" not in ask(stack, "scroll", collection=name).headers
        assert "X-Cache" not in ask(stack, "get", collection=name, ids=[1]).headers


def test_equal_searches_at_once_reach_the_shards_once(stack: Stack, name: str) -> None:
    for node in stack.nodes:
        node.faults.delay_s = 0.5
    try:
        before = searched(stack)

        def go(_: int) -> httpx.Response:
            return ask(stack, "search", collection=name, vector=[3.0, 1.0, 4.0])

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(go, range(20)))
        assert len({answer.content.split(b'"error"')[0] for answer in answers}) == 1
        # Two shards, and 20 requests that came while the first was on its way, or after it.
        assert searched(stack) - before == 2
    finally:
        for node in stack.nodes:
            node.faults.delay_s = 0.0


def test_errors_are_not_kept(stack: Stack, name: str) -> None:
    body = {"collection": name, "vector": [2.0, 7.0, 1.0]}
    for node in stack.nodes:
        node.faults.error, node.faults.failures_left = Internal("a defect"), 10**9
    try:
        assert stack.post(f"{V1}/search", body).status_code == 500
    finally:
        for node in stack.nodes:
            node.faults.failures_left = 0
    assert ask(stack, "search", **body).headers["X-Cache"] == "MISS"
    assert stack.post(f"{V1}/search", {**body, "id": 77, "vector": None}).status_code == 404
    assert stack.post(f"{V1}/search", {**body, "id": 77, "vector": None}).status_code == 404


def test_after_a_write_in_doubt_nothing_is_kept_for_a_while(stack: Stack, name: str) -> None:
    """The shard may make the write after its caller has given up."""
    ask(stack, "count", collection=name)
    for node in stack.nodes:
        node.faults.error, node.faults.failures_left = DeadlineExceeded("too slow"), 10**9
    try:
        refused = stack.post(f"{V1}/insert", {"collection": name, "vectors": [{"vector": [1, 2, 3]}]})
        assert refused.status_code == 504
    finally:
        for node in stack.nodes:
            node.faults.failures_left = 0
    for _ in range(3):
        assert "X-Cache" not in ask(stack, "count", collection=name).headers


def test_a_point_that_expires_is_in_no_answer_after_its_end(shards: Stack) -> None:
    """Nor is it counted, though no write tells of its end."""
    name = "cached-expiry"
    shards.create(name)
    shards.insert(
        name,
        [
            {"id": 1, "vector": [1, 0, 0], "metadata": {"a": 1}},
            {"id": 2, "vector": [1, 1, 0], "metadata": {"a": 2}, "ttl_seconds": 2},
        ],
    )

    def seen() -> tuple[Any, ...]:
        found = ask(shards, "search", collection=name, vector=[1, 1, 0], include_total=True).json()["data"]
        limited = ask(shards, "search", collection=name, vector=[1, 0, 0], limit=1, include_total=True)
        groups = ask(shards, "search/groups", collection=name, vector=[1, 1, 0], group_by="a").json()
        return (
            [hit["id"] for hit in found["results"]],
            found["total_count"],
            limited.json()["data"]["total_count"],
            [group["value"] for group in groups["data"]["groups"]],
            ask(shards, "count", collection=name).json()["data"]["count"],
            ask(shards, "facet", collection=name, field="a").json()["data"]["distinct"],
            ask(shards, "distinct", collection=name, field="a").json()["data"]["values"],
        )

    before, after = ([2, 1], 2, 2, [2, 1], 2, 2, [1, 2]), ([1], 1, 1, [1], 1, 1, [1])

    def ended() -> bool:
        found = seen()
        # One look may see some before the end and some after it, but none goes back.
        assert all(part in (old, new) for part, old, new in zip(found, before, after, strict=True)), found
        return found == after

    wait_until("the end of the point", ended)
    # Its like: a search for a point that has expired finds no point, also when its answer was kept.
    shards.insert(name, [{"id": 3, "vector": [0, 1, 0], "ttl_seconds": 2}])
    body = {"collection": name, "id": 3}
    assert shards.post(f"{V1}/search", body).status_code in (200, 404)
    wait_until("the end of the example", lambda: shards.post(f"{V1}/search", body).status_code == 404)


def test_the_statistics_tell_hits_misses_and_bytes(tmp_path: Any) -> None:
    with running_stack(tmp_path) as stack:
        stack.create("docs")
        empty = stack.data(stack.client.get("/cache/stats"))
        assert (empty["backend"], empty["state"], empty["hit_rate"]) == ("memory", "ok", None)
        for _ in range(4):
            ask(stack, "count", collection="docs")
        ask(stack, "search", collection="docs", vector=[1, 2, 3])
        told = stack.data(stack.client.get("/cache/stats"))
        assert (told["hits"], told["misses"], told["hit_rate"]) == (3, 2, 0.6)
        assert told["operations"]["count"] == {"hits": 3, "misses": 1, "hit_rate": 0.75}
        assert told["operations"]["search"] == {"hits": 0, "misses": 1, "hit_rate": 0.0}
        assert told["entries"] == 3
        assert told["bytes"] > 0
        assert told["frequent_requests"] == 1
        text = stack.client.get("/metrics").text
        assert 'vector_db_cache_hits_total{operation="count"} 3.0' in text
        assert 'vector_db_cache_misses_total{operation="search"} 1.0' in text
        # After a write nothing is kept, until the most frequent requests are asked again.
        stack.insert("docs", [{"vector": [1, 2, 3]}])
        assert stack.data(stack.client.post("/cache/warm")) == {"asked": 1, "failed": 0}
        warm = ask(stack, "count", collection="docs")
        assert (warm.headers["X-Cache"], warm.json()["data"]["count"]) == ("HIT", 1)
        assert stack.data(stack.client.delete("/cache"))["entries"] > 0
        assert ask(stack, "count", collection="docs").headers["X-Cache"] == "MISS"


@pytest.mark.parametrize("settings", [{"cache": "off"}, {"cache_searches": False}])
def test_answers_are_not_kept_where_that_is_switched_off(tmp_path: Any, settings: dict[str, Any]) -> None:
    with running_stack(tmp_path, **settings) as stack:
        stack.create("docs")
        for _ in range(2):
            assert "X-Cache" not in ask(stack, "count", collection="docs").headers
        told = stack.data(stack.client.get("/cache/stats"))
        assert told["backend"] == ("off" if "cache" in settings else "memory")
        assert told["keeps_searches"] is False


def test_while_the_store_is_away_nothing_is_said_to_be_forgotten_or_kept(tmp_path: Any) -> None:
    # Nobody listens on port 1.
    with running_stack(tmp_path, redis_url="redis://127.0.0.1:1/0") as stack:
        for answer in (stack.client.delete("/cache"), stack.client.post("/cache/warm")):
            assert answer.status_code == 503, answer.text
            assert answer.json()["error"]["code"] == "unavailable"
            assert "Retry-After" in answer.headers
