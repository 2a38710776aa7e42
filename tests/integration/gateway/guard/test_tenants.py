"""A caller whose points are forced sees, changes and makes points of its own alone, whatever it asks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import orjson
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.ids import decode_id, encode_id
from tests.integration.gateway.guard.conftest import Guarded
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import connected

V = "/api/v1/vectors"


@dataclass
class Tenants:
    """Points 1 to 6 of `ann` lie between points 11 to 16 of `bob`; point 21 is nobody's."""

    guard: Guarded
    name: str
    ann: Stack
    bob: Stack

    @property
    def admin(self) -> Stack:
        return self.guard.stack

    def ids(self, tenant: str) -> set[Any]:
        """As the administrator sees them."""
        condition = {"field": "tenant", "operator": "eq", "value": tenant}
        body = {"collection": self.name, "limit": 1000, "filter": condition}
        return {one["id"] for one in self.admin.data(self.admin.post(f"{V}/scroll", body))["vectors"]}

    def ask(self, path: str, **body: object) -> Any:
        """As ann."""
        return self.ann.data(self.ann.post(f"{V}/{path}", {"collection": self.name, **body}))


@pytest.fixture
def tenants(guarded_shards: Guarded) -> Tenants:
    guard = guarded_shards
    name = guard.collection(shards=2)
    points = [
        {
            "id": first + number,
            "vector": [1.0, 0.1 * number, 0.01 * first],
            "metadata": {"tenant": tenant, "n": number, "kind": f"{tenant}-{number % 2}"},
        }
        for first, tenant in ((1, "ann"), (11, "bob"))
        for number in range(6)
    ]
    points.append({"id": 21, "vector": [1.0, 0.0, 0.0], "metadata": {"n": 0}})
    guard.stack.insert(name, points)
    keys = {who: guard.key("read", "write", on=name, filter={"tenant": who}) for who in ("ann", "bob")}
    return Tenants(guard, name, guard.caller(keys["ann"]), guard.caller(keys["bob"]))


OWN = {1, 2, 3, 4, 5, 6}


def found(hits: list[dict[str, Any]]) -> set[Any]:
    return {hit["id"] for hit in hits}


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def test_searches(tenants: Tenants) -> None:
    query = {"vector": [1.0, 0.0, 0.0], "limit": 100}
    assert found(tenants.ask("search", **query)["results"]) == OWN
    wide = {
        "or": [
            {"field": "tenant", "operator": "eq", "value": "bob"},
            {"field": "n", "operator": "gte", "value": 0},
        ]
    }
    assert found(tenants.ask("search", **query, filter=wide)["results"]) == OWN
    other = {"field": "tenant", "operator": "eq", "value": "bob"}
    assert tenants.ask("search", **query, filter=other)["results"] == []
    assert (
        tenants.ask("search", **query, filter={"not": {"field": "tenant", "operator": "eq", "value": "ann"}})[
            "results"
        ]
        == []
    )
    assert tenants.ask("search", **query, filter={"has_id": [11, 12, 1]})["results"][0]["id"] == 1
    total = tenants.ask("search", **query, include_total=True)
    assert total["total_count"] == 6
    batch = tenants.ask("search/batch", queries=[{"vector": [1, 0, 0]}, {"id": 1}], limit=100)
    assert [found(one["results"]) for one in batch["batches"]] == [OWN, OWN - {1}]
    diverse = tenants.ask("search", **query, mmr={"diversity": 0.5})
    assert found(diverse["results"]) <= OWN
    groups = tenants.ask("search/groups", vector=[1, 0, 0], group_by="kind", limit=10, group_size=10)
    assert {group["value"] for group in groups["groups"]} == {"ann-0", "ann-1"}
    refused = tenants.ann.post(f"{V}/search", {"collection": tenants.name, **query, "explain": True})
    assert code(refused) == "permission_denied"


def test_points_of_others_are_no_examples(tenants: Tenants) -> None:
    body = {"collection": tenants.name, "limit": 10}
    for path, asked in (
        ("search", {"id": 11}),
        ("search/batch", {"queries": [{"id": 1}, {"id": 11}]}),
        ("search/groups", {"id": 21, "group_by": "kind"}),
        ("recommend", {"positive": [1, 11]}),
        ("recommend", {"positive": [1], "negative": [12]}),
        ("recommend", {"positive": [11], "strategy": "best_score"}),
    ):
        assert code(tenants.ann.post(f"{V}/{path}", body | asked)) == "point_not_found", path
    for strategy in ("average_vector", "best_score"):
        liked = tenants.ask("recommend", positive=[1], negative=[6], strategy=strategy, limit=100)
        assert found(liked["results"]) == OWN - {1, 6}


def test_reads(tenants: Tenants) -> None:
    got = tenants.ask("get", ids=[1, 11, 21, 99])
    assert (found(got["vectors"]), got["missing"]) == ({1}, [11, 21, 99])
    one = tenants.ann.client.get(f"/api/v1/vectors/{tenants.name}/11")
    assert code(one) == "point_not_found"
    absent = tenants.ann.client.get(f"/api/v1/vectors/{tenants.name}/99")
    assert absent.json()["error"]["message"] == one.json()["error"]["message"].replace("id 11", "id 99")
    assert tenants.ann.data(tenants.ann.client.get(f"/api/v1/vectors/{tenants.name}/1"))["id"] == 1
    scrolled: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = tenants.ask("scroll", limit=2, **({"cursor": cursor} if cursor else {}))
        scrolled += page["vectors"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found(scrolled) == OWN
    ordered = tenants.ask("scroll", limit=100, order_by={"field": "n", "direction": "desc"})
    assert [one["id"] for one in ordered["vectors"]] == [6, 5, 4, 3, 2, 1]
    assert tenants.ask("count")["count"] == 6
    assert tenants.ask("count", filter={"field": "n", "operator": "lt", "value": 2})["count"] == 2
    facet = tenants.ask("facet", field="kind")
    assert {one["value"] for one in facet["values"]} == {"ann-0", "ann-1"}
    assert tenants.ask("distinct", field="tenant")["values"] == ["ann"]
    described = tenants.ann.data(tenants.ann.client.get(f"/api/v1/collections/{tenants.name}"))
    assert (described["points"], described["shard_states"]) == (None, [])


def test_kept_answers_are_of_one_tenant(tenants: Tenants) -> None:
    """The same requests of two tenants and of an administrator, each asked twice: the second is kept."""
    body = {"collection": tenants.name, "vector": [1.0, 0.0, 0.0], "limit": 100}
    for _ in range(2):
        answers = {}
        for who, stack in (("ann", tenants.ann), ("bob", tenants.bob), ("all", tenants.admin)):
            answers[who] = stack.data(stack.post(f"{V}/search", body))["results"]
            counted = stack.data(stack.post(f"{V}/count", {"collection": tenants.name}))["count"]
            assert counted == len(answers[who])
        assert found(answers["ann"]) == OWN
        assert found(answers["bob"]) == {one + 10 for one in OWN}
        assert len(answers["all"]) == 13
    assert tenants.ann.post(f"{V}/search", body).headers["X-Cache"] == "HIT"


def test_inserts_are_their_own(tenants: Tenants) -> None:
    tenants.ann.insert(
        tenants.name, [{"id": 31, "vector": [1, 0, 0]}, {"id": 1, "vector": [1, 0, 0], "metadata": {"n": 9}}]
    )
    assert tenants.ids("ann") == OWN | {31}
    assert tenants.admin.data(tenants.admin.client.get(f"{V}/{tenants.name}/1"))["metadata"] == {
        "n": 9,
        "tenant": "ann",
    }

    def refused(*points: dict[str, Any], **more: object) -> None:
        made = [{"vector": [1, 0, 0], **point} for point in points]
        answer = tenants.ann.post(f"{V}/insert", {"collection": tenants.name, "vectors": made, **more})
        assert code(answer) == "permission_denied", answer.text

    refused({"id": 41, "metadata": {"tenant": "bob"}})
    refused({"id": 41, "metadata": {"tenant": None}})
    refused({"id": 41, "metadata": {"tenant": ["ann"]}})
    # Whoever's the id is already, in all ways to say it, and beside points that would do.
    for more in ({}, {"mode": "upsert"}, {"mode": "update"}):
        refused({"id": 42}, {"id": 11}, **more)
        refused({"id": 21}, **more)
    refused({"id": 11, "if_version": 1})
    skipped = tenants.ask(
        "insert", vectors=[{"id": 11, "vector": [0, 1, 0]}, {"id": 43, "vector": [0, 1, 0]}], mode="insert"
    )
    assert skipped["inserted"] == 1
    assert tenants.ids("ann") == OWN | {31, 43}
    assert tenants.ids("bob") == {one + 10 for one in OWN}
    assert tenants.admin.data(tenants.admin.client.get(f"{V}/{tenants.name}/11"))[
        "embedding"
    ] == pytest.approx([1, 0, 0.11])


def test_versions_are_those_that_a_tenant_sees(tenants: Tenants) -> None:
    body = {"ids": [1], "include_version": True}
    version = tenants.ask("get", **body)["vectors"][0]["version"]

    def write(given: int) -> httpx.Response:
        point = {"id": 1, "vector": [1, 0, 0], "if_version": given}
        return tenants.ann.post(f"{V}/insert", {"collection": tenants.name, "vectors": [point]})

    assert code(write(version + 1_000)) == "version_conflict"
    assert code(write(0)) == "version_conflict"
    assert write(version).status_code == 200
    assert code(write(version)) == "version_conflict"


def test_metadata_stays_with_its_tenant(tenants: Tenants) -> None:
    def change(**body: object) -> httpx.Response:
        return tenants.ann.post(f"{V}/metadata", {"collection": tenants.name, **body})

    assert code(change(ids=[1], merge={"tenant": "bob"})) == "permission_denied"
    assert code(change(ids=[1], merge={"tenant": None})) == "permission_denied"
    assert code(change(ids=[1], delete=["tenant"])) == "permission_denied"
    assert code(change(ids=[1], replace={"tenant": "bob"})) == "permission_denied"
    everything = {"field": "n", "operator": "gte", "value": 0}
    assert code(change(filter=everything, merge={"tenant": "bob"})) == "permission_denied"
    done = tenants.ann.data(change(ids=[1, 11, 21], merge={"seen": True}))
    assert (done["matched"], done["updated"], done["missing"]) == (1, 1, [11, 21])
    done = tenants.ann.data(change(filter=everything, merge={"all": True}))
    assert (done["matched"], done["updated"]) == (6, 6)
    done = tenants.ann.data(change(ids=[2], replace={"n": 7}))
    assert tenants.admin.data(tenants.admin.client.get(f"{V}/{tenants.name}/2"))["metadata"] == {
        "n": 7,
        "tenant": "ann",
    }
    path = f"/api/v1/vectors/{tenants.name}"
    assert code(tenants.ann.client.patch(f"{path}/1/metadata", json={"tenant": "bob"})) == "permission_denied"
    assert code(tenants.ann.client.patch(f"{path}/11/metadata", json={"n": 1})) == "point_not_found"
    assert tenants.ann.client.patch(f"{path}/1/metadata", json={"n": 1}).status_code == 200
    theirs = tenants.bob.data(tenants.bob.post(f"{V}/scroll", {"collection": tenants.name, "limit": 100}))
    assert all("seen" not in one["metadata"] and "all" not in one["metadata"] for one in theirs["vectors"])
    assert len(theirs["vectors"]) == 6


def test_deletes_leave_the_points_of_others(tenants: Tenants) -> None:
    path = f"/api/v1/vectors/{tenants.name}"
    assert code(tenants.ann.client.delete(f"{path}/11")) == "point_not_found"
    assert code(tenants.ann.client.delete(f"{path}/11", params={"if_version": 1})) == "point_not_found"
    assert tenants.ask("delete", ids=[1, 11, 21])["deleted"] == 1
    assert (
        code(tenants.ann.client.delete(f"{path}/2", params={"if_version": 1_000_000})) == "version_conflict"
    )
    assert tenants.ann.client.delete(f"{path}/2").status_code == 200
    everything = {
        "or": [
            {"field": "n", "operator": "gte", "value": 0},
            {"field": "tenant", "operator": "exists", "value": False},
        ]
    }
    assert tenants.ask("delete", filter=everything)["deleted"] == 4
    assert tenants.ids("ann") == set()
    counted = tenants.admin.data(tenants.admin.post(f"{V}/count", {"collection": tenants.name}))["count"]
    assert counted == 7


def test_what_is_not_for_tenants(tenants: Tenants) -> None:
    """Jobs, libraries, aliases, and whatever tells of all."""
    ask = tenants.ann
    asked: list[Callable[[], httpx.Response]] = [
        lambda: ask.post("/api/v1/jobs", {"kind": "bulk_insert", "collection": tenants.name, "items": [{}]}),
        lambda: ask.client.get("/api/v1/jobs"),
        lambda: ask.client.get(f"/api/v1/jobs/{'0' * 32}"),
        lambda: ask.client.get("/api/v1/queue"),
        lambda: ask.client.get("/api/v1/libraries"),
        lambda: ask.post("/api/v1/libraries", {"name": "x", "dimension": 3, "model": None}),
        lambda: ask.client.get("/api/v1/operations"),
        lambda: ask.client.get("/cache/stats"),
        lambda: ask.client.delete("/cache"),
        lambda: ask.client.get("/metrics"),
        lambda: ask.client.put("/api/v1/aliases/x", json={"collection": tenants.name}),
    ]
    for one in asked:
        answer = one()
        assert answer.status_code == 403, answer.text


def test_a_tenant_that_administers_changes_no_collection(tenants: Tenants) -> None:
    """It has points of others, who would lose them."""
    key = tenants.guard.key("admin", filter={"tenant": "ann"})
    ask = tenants.guard.caller(key).client
    place = f"/api/v1/collections/{tenants.name}"
    for answer in (
        ask.delete(place),
        ask.patch(place, json={"index": {"type": "flat"}}),
        ask.post("/api/v1/collections", json={"name": "of-a-tenant", "dimension": 3}),
    ):
        assert (answer.status_code, code(answer)) == (403, "permission_denied"), answer.text
    assert tenants.ids("bob") == {one + 10 for one in OWN}


def test_two_tenants_that_write_one_id_at_once(tenants: Tenants) -> None:
    """One of them has it, and the other is told so; nobody overwrites anybody."""

    def write(who: Stack, number: int) -> str:
        point = {"id": number, "vector": [1, 0, 0]}
        answer = who.post(f"{V}/insert", {"collection": tenants.name, "vectors": [point]})
        return "ok" if answer.status_code == 200 else code(answer)

    with ThreadPoolExecutor(8) as threads:
        for number in range(100, 120):
            ends = [
                threads.submit(write, who, number) for who in (tenants.ann, tenants.bob) for _ in range(3)
            ]
            told = [end.result() for end in ends]
            assert set(told) <= {"ok", "permission_denied"}, told
            winners = {"ok" in told[:3], "ok" in told[3:]}
            assert winners == {True, False}, told
    assert not tenants.ids("ann") & tenants.ids("bob")
    assert tenants.ids("ann") | tenants.ids("bob") >= set(range(100, 120))


def test_the_other_door_is_no_way_around(tenants: Tenants) -> None:
    mine = (("x-api-key", tenants.ann.client.headers["X-API-Key"]),)
    with connected(tenants.admin) as service:
        pages = service.ScrollVectors(pb.ScrollVectorsRequest(collection=tenants.name), metadata=mine)
        assert {decode_id(id_) for page in pages for id_ in page.points.ids} == OWN
        taken = pb.InsertVectorsRequest(
            collection=tenants.name,
            ids=[encode_id(11)],
            vectors=pb.Vectors(dimension=3, values=[1.0, 0.0, 0.0]),
        )
        with pytest.raises(grpc.RpcError) as refused:
            service.InsertVectors(taken, metadata=mine)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_streams_are_no_way_around(tenants: Tenants) -> None:
    lines = [{"id": 51, "vector": [1, 0, 0]}, {"id": 11, "vector": [1, 0, 0]}]
    sent = tenants.ann.client.post(
        f"{V}/insert",
        params={"collection": tenants.name},
        content=b"".join(orjson.dumps(line) + b"\n" for line in lines),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert "permission_denied" in sent.text, sent.text
    assert tenants.ids("bob") == {one + 10 for one in OWN}
    read = tenants.ann.client.post(
        f"{V}/scroll", json={"collection": tenants.name}, headers={"Accept": "application/x-ndjson"}
    )
    told = [orjson.loads(line) for line in read.text.splitlines()]
    assert {line["id"] for line in told if "id" in line} <= OWN | {51}
