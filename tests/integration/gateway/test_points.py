"""The life of points over REST: a gateway process, two nodes, an embedder."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from hanax.core.ids import encode_id, hash_of
from tests.integration.gateway.stack import Stack

_numbers = itertools.count()


@pytest.fixture
def collection(either: Stack) -> str:
    name = f"points-{next(_numbers)}"
    either.create(name)
    return name


@pytest.fixture
def texts(either: Stack) -> str:
    name = f"texts-{next(_numbers)}"
    either.create(name, dimension=384, embedding_model="hash-384")
    return name


def _random_points(count: int, dimension: int = 3) -> list[dict[str, Any]]:
    rng = np.random.default_rng(7)
    return [
        {"id": number, "vector": rng.normal(size=dimension).tolist(), "metadata": {"n": number}}
        for number in range(count)
    ]


def test_an_answer_comes_in_the_envelope(either: Stack, collection: str) -> None:
    answer = either.client.post(
        "/api/v1/vectors/count",
        json={"collection": collection},
        headers={"X-Request-ID": "mine-1"},
    )
    body = answer.json()
    assert set(body) == {
        "success",
        "data",
        "error",
        "request_id",
        "processing_time_ms",
        "protocol",
        "cached",
    }
    assert (body["success"], body["data"], body["error"]) == (True, {"count": 0}, None)
    assert (body["protocol"], body["cached"]) == ("rest", False)
    assert body["request_id"] == answer.headers["X-Request-ID"] == "mine-1"
    assert 0 < body["processing_time_ms"] < 10_000
    timing = dict(re.findall(r"([a-z]+);dur=([0-9.]+)", answer.headers["Server-Timing"]))
    assert {"total", "gateway", "shard"} <= set(timing)
    parts = [float(timing[name]) for name in ("gateway", "cache", "shard")]
    assert float(timing["total"]) == pytest.approx(sum(parts), abs=0.01)


@pytest.mark.parametrize("given", ["", "x" * 129, "tab\tbed", "ünicode"])
def test_a_bad_request_id_is_replaced(either: Stack, given: str) -> None:
    answer = either.client.get("/health", headers=[(b"X-Request-ID", given.encode())])
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_insert_says_what_is_new_and_what_was_replaced(either: Stack, collection: str) -> None:
    first = either.insert(collection, _random_points(20))
    assert (first["inserted"], first["updated"]) == (20, 0)
    assert first["ids"] == list(range(20))
    again = either.insert(collection, _random_points(30))
    assert (again["inserted"], again["updated"]) == (10, 20)
    # Both shards have their share.
    states = either.data(either.client.get(f"/api/v1/collections/{collection}"))["shard_states"]
    assert all(state["points"] for state in states)


def test_missing_ids_are_made_and_answered(either: Stack, collection: str) -> None:
    done = either.insert(collection, [{"vector": [1, 0, 0]}, {"id": None, "embedding": [0, 1, 0]}])
    assert len(set(done["ids"])) == 2
    for made in done["ids"]:
        found = either.data(either.client.get(f"/api/v1/vectors/{collection}/{made}"))
        assert found["id"] == made


def test_search_is_the_exact_top_k_of_all_shards(either: Stack, collection: str) -> None:
    points = _random_points(100)
    either.insert(collection, points)
    query = [0.3, -0.5, 0.8]
    matrix = np.array([point["vector"] for point in points])
    cosine = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    expected = np.argsort(-cosine)[:17]
    body = {"collection": collection, "vector": query, "limit": 17, "include_vectors": True}
    data = either.data(either.post("/api/v1/vectors/search", body))
    results = data["results"]
    assert [hit["id"] for hit in results] == expected.tolist()
    assert [hit["score"] for hit in results] == pytest.approx(cosine[expected].tolist(), abs=1e-5)
    for hit in results:
        assert hit["metadata"] == {"n": hit["id"]}
        assert hit["vector"] == pytest.approx(points[hit["id"]]["vector"], abs=1e-6)
        assert hit["created_at"].endswith("Z")


def test_search_leaves_out_what_was_not_asked_for(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(3))
    body = {"collection": collection, "vector": [1, 0, 0], "include_metadata": False}
    hits = either.data(either.post("/api/v1/vectors/search", body))["results"]
    assert len(hits) == 3
    assert all(set(hit) == {"id", "score", "created_at", "updated_at"} for hit in hits)


def test_search_with_a_threshold_and_a_filter(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(100))
    body = {"collection": collection, "vector": [0.3, -0.5, 0.8], "limit": 100}
    everything = either.data(either.post("/api/v1/vectors/search", body))["results"]
    # The threshold is a score that was answered: that point is still in.
    threshold = everything[9]["score"]
    some = either.data(either.post("/api/v1/vectors/search", body | {"score_threshold": threshold}))[
        "results"
    ]
    assert [hit["id"] for hit in some] == [hit["id"] for hit in everything[:10]]
    few = {"field": "n", "operator": "lt", "value": 5}
    matching = either.data(either.post("/api/v1/vectors/search", body | {"filter": few}))["results"]
    assert sorted(hit["id"] for hit in matching) == [0, 1, 2, 3, 4]


def test_texts_are_embedded_kept_and_found(either: Stack, texts: str) -> None:
    either.insert(
        texts,
        [
            {"id": "md5", "text": "the md5 checksum of a file", "metadata": {"module": "hashlib"}},
            {"id": "walk", "text": "walk a tree of directories"},
            {"id": "own", "text": "parse a date", "metadata": {"text": "kept as it was"}},
        ],
    )
    asked = {"collection": texts, "text": "checksum of a file", "limit": 3}
    data = either.data(either.post("/api/v1/vectors/search", asked))
    hits = data["results"]
    assert data["truncated"] is False
    assert hits[0]["id"] == "md5"
    assert hits[0]["metadata"] == {"module": "hashlib", "text": "the md5 checksum of a file"}
    own = next(hit for hit in hits if hit["id"] == "own")
    assert own["metadata"] == {"text": "kept as it was"}


def test_a_long_batch_of_texts_and_vectors_keeps_its_order(either: Stack, texts: str) -> None:
    points: list[dict[str, Any]] = [{"id": n, "text": f"word{n} alone"} for n in range(300)]
    points[150] = {"id": 150, "vector": [1.0] + [0.0] * 383}
    done = either.insert(texts, points)
    assert done["ids"] == list(range(300))
    for n in (0, 127, 128, 299):
        asked = {"collection": texts, "text": f"word{n} alone", "limit": 1}
        (hit,) = either.data(either.post("/api/v1/vectors/search", asked))["results"]
        assert (hit["id"], hit["score"]) == (n, pytest.approx(1.0, abs=1e-5))
    found = either.data(either.client.get(f"/api/v1/vectors/{texts}/150"))
    assert found["embedding"] == points[150]["vector"]


def test_what_the_model_did_not_read_is_said(either: Stack, texts: str) -> None:
    long_text = "a " * 8_200
    done = either.insert(texts, [{"id": 1, "text": "short"}, {"id": 2, "text": long_text}])
    assert done["truncated"] == [2]
    asked = {"collection": texts, "text": long_text}
    assert either.data(either.post("/api/v1/vectors/search", asked))["truncated"] is True


def test_get_shows_all_fields_of_a_point(either: Stack, texts: str) -> None:
    before = datetime.now(UTC)
    either.insert(texts, [{"id": "a/b c", "text": "one", "metadata": {"deep": {"list": [1, None]}}}])
    found = either.data(either.client.get(f"/api/v1/vectors/{texts}/a%2Fb%20c"))
    assert set(found) == {
        "id",
        "embedding",
        "metadata",
        "provenance",
        "collection",
        "model",
        "created_at",
        "updated_at",
        "version",
    }
    assert (found["id"], found["collection"], found["model"]) == ("a/b c", texts, "hash-384")
    assert len(found["embedding"]) == 384
    assert found["metadata"] == {"deep": {"list": [1, None]}, "text": "one"}
    created = datetime.fromisoformat(found["created_at"])
    assert before - timedelta(seconds=1) < created < datetime.now(UTC) + timedelta(seconds=1)


def test_digits_in_a_path_are_an_integer_unless_told_otherwise(either: Stack, collection: str) -> None:
    either.insert(collection, [{"id": 7, "vector": [1, 0, 0]}, {"id": "7", "vector": [0, 1, 0]}])
    path = f"/api/v1/vectors/{collection}/7"

    def read(query: str) -> Any:
        return either.data(either.client.get(path + query))["id"]

    assert read("") == 7
    assert read("?id_type=integer") == 7
    assert read("?id_type=string") == "7"
    assert either.client.delete(path + "?id_type=string").status_code == 200
    assert either.client.get(path + "?id_type=string").status_code == 404
    assert read("") == 7
    # No JSON number has a leading zero: this can only be text.
    either.insert(collection, [{"id": "007", "vector": [1, 0, 0]}])
    found = either.data(either.client.get(f"/api/v1/vectors/{collection}/007"))
    assert found["id"] == "007"


def test_a_uuid_is_found_in_any_case(either: Stack, collection: str) -> None:
    written = "6FA459EA-EE8A-3CA4-894E-DB77E160355E"
    assert either.insert(collection, [{"id": written, "vector": [1, 0, 0]}])["ids"] == [written.lower()]
    found = either.data(either.client.get(f"/api/v1/vectors/{collection}/{written}"))
    assert found["id"] == written.lower()


def test_get_many_answers_in_order_and_names_the_missing(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(50))
    asked = {"collection": collection, "ids": [40, 99, 3, "no", 17, 3], "include_vectors": False}
    data = either.data(either.post("/api/v1/vectors/get", asked))
    assert [one["id"] for one in data["vectors"]] == [40, 3, 17]
    assert data["missing"] == [99, "no"]
    assert all("embedding" not in one for one in data["vectors"])


def test_metadata_are_merged_or_replaced(either: Stack, collection: str) -> None:
    either.insert(collection, [{"id": "x", "vector": [1, 0, 0], "metadata": {"a": 1, "b": {"c": 2}}}])
    path = f"/api/v1/vectors/{collection}/x"

    def metadata() -> Any:
        return either.data(either.client.get(path))["metadata"]

    merged = either.client.patch(path + "/metadata", json={"b": 3, "d": 4})
    version = either.data(either.client.get(path))["version"]
    assert either.data(merged) == {"id": "x", "updated": 1, "version": version}
    assert metadata() == {"a": 1, "b": 3, "d": 4}
    either.data(either.client.put(path + "/metadata", json={"e": 5}))
    assert metadata() == {"e": 5}
    point = either.data(either.client.get(path))
    assert point["updated_at"] > point["created_at"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "PUT"])
def test_a_point_that_is_not_there(either: Stack, collection: str, method: str) -> None:
    path = f"/api/v1/vectors/{collection}/7"
    if method in ("PATCH", "PUT"):
        answer = either.client.request(method, path + "/metadata", json={})
    else:
        answer = either.client.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (
        404,
        "point_not_found",
        "PointNotFound",
    )
    assert error["details"] == {"collection": collection, "id": 7}


def test_delete_by_ids_and_by_filter(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(50))

    def delete(body: dict[str, Any]) -> Any:
        return either.data(either.post("/api/v1/vectors/delete", {"collection": collection} | body))

    def count(**more: Any) -> Any:
        body = {"collection": collection} | more
        return either.data(either.post("/api/v1/vectors/count", body))["count"]

    assert delete({"ids": [1, 2, 3, 3, 77]}) == {"deleted": 3}
    upper = {"field": "n", "operator": "gte", "value": 40}
    assert count(filter=upper) == 10
    assert delete({"filter": [upper]}) == {"deleted": 10}
    assert (count(), count(filter=upper)) == (37, 0)
    assert either.data(either.client.delete(f"/api/v1/vectors/{collection}/5")) == {"deleted": 1}
    assert count() == 36


def test_scroll_reads_every_point_once_while_others_write(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(95))
    seen: list[Any] = []
    asked: dict[str, Any] = {"collection": collection, "limit": 10}
    pages = 0
    while True:
        page = either.data(either.post("/api/v1/vectors/scroll", asked))
        seen += [one["id"] for one in page["vectors"]]
        pages += 1
        # New points and deleted ones move nobody from a page to another.
        new = 1_000 + pages
        either.insert(collection, [{"id": new, "vector": [1, 0, 0]}])
        either.post("/api/v1/vectors/delete", {"collection": collection, "ids": [seen[0]]})
        if page["next_cursor"] is None:
            break
        assert len(page["vectors"]) == 10
        asked["cursor"] = page["next_cursor"]
    old = [point for point in seen if point < 1_000]
    assert sorted(old) == list(range(95))
    assert seen == sorted(seen, key=lambda point: (hash_of(encode_id(point)), encode_id(point)))


def test_scroll_with_a_filter(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(95))
    few = {"field": "n", "operator": "in", "value": [5, 50, 90]}
    asked = {"collection": collection, "filter": few, "limit": 3, "include_vectors": True}
    page = either.data(either.post("/api/v1/vectors/scroll", asked))
    assert {one["id"] for one in page["vectors"]} == {5, 50, 90}
    assert page["next_cursor"] is None
    assert all(len(one["embedding"]) == 3 for one in page["vectors"])


def test_a_cursor_is_bound_to_one_life_of_a_collection(either: Stack, collection: str) -> None:
    either.insert(collection, _random_points(9))
    asked: dict[str, Any] = {"collection": collection, "limit": 2}
    cursor = either.data(either.post("/api/v1/vectors/scroll", asked))["next_cursor"]
    either.data(either.client.delete(f"/api/v1/collections/{collection}"))
    either.create(collection)
    answer = either.post("/api/v1/vectors/scroll", asked | {"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_cursor")


def test_embeddings_are_generated(either: Stack) -> None:
    one = either.data(either.post("/api/v1/embeddings/generate", {"text": "alone"}))
    assert (one["model"], one["dimension"], one["truncated"]) == ("hash-384", 384, [])
    assert np.linalg.norm(one["embeddings"][0]) == pytest.approx(1.0, abs=1e-5)
    several = {"text": ["first", "alone", "a " * 8_200], "model": "hash-384", "batch_size": 1}
    made = either.data(either.post("/api/v1/embeddings/generate", several))
    assert made["embeddings"][1] == pytest.approx(one["embeddings"][0], abs=1e-6)
    assert made["truncated"] == [2]
    assert len(made["tokens"]) == 3


def test_numbers_keep_their_value(either: Stack, collection: str) -> None:
    metadata = {"big": 2**63, "small": -(2**63), "float": 0.1, "text": "ünïcode \U0001f600"}
    either.insert(collection, [{"id": 2**64 - 1, "vector": [1, 0, 0], "metadata": metadata}])
    answer = either.client.get(f"/api/v1/vectors/{collection}/{2**64 - 1}")
    found = json.loads(answer.content)["data"]
    assert found["id"] == 2**64 - 1
    assert found["metadata"] == metadata
