"""Where vectors come from is kept with them, and is nobody's to change."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from xxhash import xxh3_128_hexdigest

from tests.integration.gateway.models.conftest import Outside
from tests.integration.gateway.stack import Stack

_numbers = count()


@pytest.fixture
def docs(outside: Outside) -> str:
    """A collection with one point that was embedded, 1, and one that was not, 2."""
    name = f"provenance-{next(_numbers)}"
    outside.stack.create(name, dimension=8, embedding_model="now")
    points = [
        {"id": 1, "text": "where from?", "metadata": {"year": 2024}},
        {"id": 2, "vector": [1.0] * 8, "metadata": {"year": 2025}},
    ]
    outside.stack.insert(name, points)
    return name


def point(stack: Stack, name: str, id_: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = stack.data(stack.client.get(f"/api/v1/vectors/{name}/{id_}"))
    return found


def test_it_is_told_beside_metadata_and_not_inside(outside: Outside, docs: str) -> None:
    found = point(outside.stack, docs)
    assert found["metadata"] == {"year": 2024, "text": "where from?"}
    told = found["provenance"]
    assert (told["model"], told["version"], told["pattern"]) == ("now", "v7", "real_time")
    assert told["content_hash"] == xxh3_128_hexdigest(b"where from?")
    assert told["at"].endswith("Z")
    assert "provenance" not in point(outside.stack, docs, 2)


def test_searches_and_pages_tell_it_as_well(outside: Outside, docs: str) -> None:
    stack = outside.stack
    asked = {"collection": docs, "text": "where from?", "limit": 1}
    (hit,) = stack.data(stack.post("/api/v1/vectors/search", asked))["results"]
    assert (hit["metadata"]["year"], hit["provenance"]["model"]) == (2024, "now")
    page = stack.data(stack.post("/api/v1/vectors/scroll", {"collection": docs}))["vectors"]
    assert {one["id"]: "provenance" in one for one in page} == {1: True, 2: False}
    assert all("_embedding" not in one["metadata"] for one in page)


def test_fields_come_without_it_unless_it_is_among_them(outside: Outside, docs: str) -> None:
    stack = outside.stack
    for fields, told in ((["year"], False), (["year", "_embedding"], True)):
        body = {"collection": docs, "ids": [1], "include_metadata": fields}
        (found,) = stack.data(stack.post("/api/v1/vectors/get", body))["vectors"]
        assert found["metadata"] == {"year": 2024}
        assert ("provenance" in found) == told


@pytest.mark.parametrize("change", ["put", "patch", "replace", "merge", "delete"])
def test_it_outlives_every_change_of_metadata(outside: Outside, docs: str, change: str) -> None:
    stack, before = outside.stack, point(outside.stack, docs)["provenance"]
    if change in ("put", "patch"):
        answer = stack.client.request(change, f"/api/v1/vectors/{docs}/1/metadata", json={"other": 1})
    else:
        given: Any = ["year"] if change == "delete" else {"other": 1}
        answer = stack.post("/api/v1/vectors/metadata", {"collection": docs, "ids": [1], change: given})
    stack.data(answer)
    after = point(stack, docs)
    assert after["provenance"] == before
    left = {"put": {"other": 1}, "replace": {"other": 1}, "delete": {"text": "where from?"}}
    merged = {"year": 2024, "text": "where from?", "other": 1}
    assert after["metadata"] == left.get(change, merged)


def test_a_vector_of_the_users_own_takes_it_away(outside: Outside, docs: str) -> None:
    outside.stack.insert(docs, [{"id": 1, "vector": [2.0] * 8}])
    assert "provenance" not in point(outside.stack, docs)


@pytest.mark.parametrize("field", ["_embedding", "_embedding.model"])
def test_users_can_neither_write_nor_remove_it(outside: Outside, docs: str, field: str) -> None:
    stack = outside.stack
    metadata = {field: {"model": "forged"}}
    forged = {"id": 3, "text": "a", "metadata": metadata}
    answers = [
        stack.post("/api/v1/vectors/insert", {"collection": docs, "vectors": [forged]}),
        stack.client.put(f"/api/v1/vectors/{docs}/1/metadata", json=metadata),
        stack.client.patch(f"/api/v1/vectors/{docs}/1/metadata", json=metadata),
        stack.post("/api/v1/vectors/metadata", {"collection": docs, "ids": [1], "merge": metadata}),
        stack.post("/api/v1/vectors/metadata", {"collection": docs, "ids": [1], "replace": metadata}),
        stack.post("/api/v1/vectors/metadata", {"collection": docs, "ids": [1], "delete": [field]}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_metadata")
    assert point(stack, docs)["provenance"]["model"] == "now"


def test_points_can_be_found_by_model_and_version(outside: Outside, docs: str) -> None:
    stack = outside.stack
    for field, value, expected in (
        ("_embedding.model", "now", 1),
        ("_embedding.model", "other", 0),
        ("_embedding.version", "v7", 1),
        ("_embedding.content_hash", xxh3_128_hexdigest(b"where from?"), 1),
    ):
        condition = {"field": field, "operator": "eq", "value": value}
        body = {"collection": docs, "filter": condition}
        assert stack.data(stack.post("/api/v1/vectors/count", body))["count"] == expected
