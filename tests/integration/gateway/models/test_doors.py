"""Every door that embeds texts: the same models, limits and errors behind all of them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from tests.integration.gateway.models.conftest import DIMENSION, Outside
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.replies import vector_of
from tests.integration.waiting import wait_until

GENERATE = "/api/v1/embeddings/generate"


def rows(texts: list[str], dimension: int = DIMENSION) -> np.ndarray[Any, Any]:
    return np.stack([vector_of(text, dimension) for text in texts])


def refused(stack: Stack, path: str, body: object, status: int) -> dict[str, Any]:
    """The error of a refusal."""
    answer = stack.post(path, body)
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_chunks_of_a_request_come_back_in_order(outside: Outside) -> None:
    texts = [f"chunk {number}" for number in range(35)]
    data = outside.stack.data(outside.stack.post(GENERATE, {"text": texts, "model": "now"}))
    np.testing.assert_allclose(data["embeddings"], rows(texts), atol=1e-6)
    assert (data["model"], data["model_version"], data["dimension"]) == ("now", "v7", DIMENSION)
    assert sorted(map(len, outside.sent("now"))) == [5, 10, 10, 10]


def test_a_text_that_occurs_twice_is_embedded_once(outside: Outside) -> None:
    texts = ["twice one", "twice two", "twice one"]
    data = outside.stack.data(outside.stack.post(GENERATE, {"text": texts, "model": "now"}))
    np.testing.assert_allclose(data["embeddings"], rows(texts), atol=1e-6)
    assert outside.sent("now") == [["twice one", "twice two"]]


def test_external_embed_is_the_same_by_the_models_name(outside: Outside) -> None:
    data = outside.stack.data(outside.stack.post("/external/wide/embed", {"text": "by its name"}))
    np.testing.assert_allclose(data["embeddings"], rows(["by its name"], 16), atol=1e-6)
    assert data["model"] == "wide"


def test_auto_is_the_collections_model_where_one_is_named(outside: Outside) -> None:
    outside.stack.create("auto-wide", dimension=16, embedding_model="wide")
    asked = {"text": "auto", "model": "auto", "collection": "auto-wide"}
    assert outside.stack.data(outside.stack.post(GENERATE, asked))["model"] == "wide"
    # Else the first that answers at once.
    assert outside.stack.data(outside.stack.post(GENERATE, {"text": "auto"}))["model"] == "mixed"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {"text": "a", "model": "nobody"}),
        ("/external/nobody/embed", {"text": "a"}),
        ("/v1/embeddings", {"input": "a", "model": "nobody"}),
    ],
)
def test_an_unknown_model_is_404(outside: Outside, path: str, body: object) -> None:
    error = refused(outside.stack, path, body, 404)
    assert error["code"] == "model_not_found"
    assert "later, mixed, now, tired, wide" in error["message"]


@pytest.mark.parametrize("text", ["", [], [" "], 7])
def test_texts_that_are_none_are_refused_at_every_door(outside: Outside, text: object) -> None:
    for path, field in ((GENERATE, "text"), ("/external/now/embed", "text"), ("/v1/embeddings", "input")):
        body = {field: text} | ({} if path.startswith("/external") else {"model": "now"})
        error = refused(outside.stack, path, body, 400 if path.startswith("/v1/") else 422)
        assert error["code"] == "invalid_text"
        assert field in error["message"]
    assert not outside.sent("now")


def test_a_wrong_dimension_from_an_upstream_is_502_and_named(outside: Outside) -> None:
    outside.servers["now"].behave(behaviours.wrong_dimension(5))
    error = refused(outside.stack, GENERATE, {"text": "wrong dimension", "model": "now"}, 502)
    assert error["code"] == "upstream_failed"
    assert "'now'" in error["message"]
    assert "8" in error["message"]
    assert "5" in error["message"]


def test_a_model_of_another_dimension_than_the_collection_is_409(outside: Outside) -> None:
    body = {"name": "narrow", "dimension": 4, "embedding_model": "now"}
    assert refused(outside.stack, "/api/v1/collections", body, 409)["code"] == "model_conflict"


def test_retry_after_is_what_the_upstream_asked_for(outside: Outside) -> None:
    # Longer than the request may take: it is not waited for.
    outside.servers["tired"].behave(behaviours.status(429, {"retry-after": "120"}))
    answer = outside.stack.post(GENERATE, {"text": "too many", "model": "tired"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert 60 <= int(answer.headers["Retry-After"]) <= 120


def test_one_client_s_wrong_requests_do_not_keep_a_model_from_the_others(outside: Outside) -> None:
    """More of them than an endpoint may fail in a row."""
    stack, server = outside.stack, outside.servers["wide"]
    for number in range(8):
        body = {"text": f"too wide {number}", "model": "wide", "dimensions": 17}
        assert refused(stack, GENERATE, body, 422)["details"]["limit"] == 16
    assert not server.requests
    server.behave(behaviours.status(400, body=b'{"error":{"message":"invalid characters"}}'))
    for number in range(8):
        error = refused(stack, GENERATE, {"text": f"disliked {number}", "model": "wide"}, 502)
        assert "invalid characters" in error["message"]
    server.behave(behaviours.wrong_dimension(16))
    for number in range(8):
        body = {"text": f"not cut {number}", "model": "wide", "dimensions": 4}
        assert refused(stack, GENERATE, body, 422)["details"]["got"] == 16
    server.behave(behaviours.well)
    made = stack.data(stack.post(GENERATE, {"text": "innocent", "model": "wide"}))
    assert len(made["embeddings"][0]) == 16


def test_a_collection_goes_with_its_own_model_alone(outside: Outside) -> None:
    stack = outside.stack
    stack.create("with-now", dimension=8, embedding_model="now")
    stack.create("with-none", dimension=8)
    body = {"text": "whose", "collection": "with-now"}
    assert stack.data(stack.post(GENERATE, {**body, "model": "now"}))["model"] == "now"
    for model in ("wide", "mixed"):
        error = refused(stack, GENERATE, {**body, "model": model}, 409)
        assert error["code"] == "model_conflict"
        assert "'now'" in error["message"]
        assert f"'{model}'" in error["message"]
    error = refused(stack, GENERATE, {**body, "collection": "with-none", "model": "now"}, 409)
    assert error["code"] == "model_conflict"


def test_texts_that_are_too_long_are_named_by_their_places(outside: Outside) -> None:
    long_text = "word " * 600
    texts = ["short one", long_text, "short two"] + [f"filler {number}" for number in range(20)] + [long_text]
    body = {"text": texts, "model": "mixed", "long_texts": "refuse"}
    error = refused(outside.stack, GENERATE, body, 422)
    assert error["code"] == "text_too_long"
    assert error["details"]["model"] == "mixed"
    # Points are counted where there are points, and no text is named by two places.
    outside.stack.create("too-long", dimension=8, embedding_model="now")
    points = [{"vector": [1.0] * 8}, {"text": "short"}, {"text": long_text}]
    insert = {"collection": "too-long", "vectors": points, "long_texts": "refuse"}
    error = refused(outside.stack, "/api/v1/vectors/insert", insert, 422)
    assert error["message"] == (
        "vectors[2].text: embedding model 'now': more than the 512 tokens that it reads"
    )
    assert error["details"]["indexes"] == [2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {"text": "known", "model": "now"}),
        ("/external/mixed/embed", {"text": "known"}),
        ("/v1/embeddings", {"input": "known", "model": "wide"}),
    ],
)
def test_every_door_tells_whether_its_vectors_were_kept(
    outside: Outside, path: str, body: dict[str, Any]
) -> None:
    def told(control: str) -> tuple[str | None, bool]:
        answer = outside.stack.client.post(path, json=body, headers={"Cache-Control": control})
        assert answer.is_success, answer.text
        return answer.headers.get("X-Cache"), "Age" in answer.headers

    assert told("no-store") == (None, False)
    assert told("no-cache") == ("MISS", False)
    assert told("max-age=3600") == ("HIT", True)
    assert told("max-age=0") == ("MISS", False)


# --- OpenAI's API ---------------------------------------------------------------------------


def test_openai_floats_and_base64_are_the_same_vectors(outside: Outside) -> None:
    texts = ["openai one", "openai two"]
    found = []
    for encoding in ("float", "base64"):
        answer = outside.stack.post(
            "/v1/embeddings", {"input": texts, "model": "now", "encoding_format": encoding, "user": "someone"}
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["object"], body["model"]) == ("list", "now")
        assert [one["index"] for one in body["data"]] == [0, 1]
        assert set(body["usage"]) == {"prompt_tokens", "total_tokens"}
        found.append([one["embedding"] for one in body["data"]])
    floats = np.array(found[0], np.float32)
    packed = np.stack([np.frombuffer(base64.b64decode(text), "<f4") for text in found[1]])
    np.testing.assert_array_equal(floats, packed)
    np.testing.assert_allclose(floats, rows(texts), atol=1e-6)


def test_openai_dimensions_are_passed_on(outside: Outside) -> None:
    body = {"input": "cut", "model": "wide", "dimensions": 4}
    (one,) = outside.stack.post("/v1/embeddings", body).json()["data"]
    assert len(one["embedding"]) == 4


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
def test_openai_lists_of_tokens_are_refused_in_openais_form(outside: Outside, tokens: object) -> None:
    answer = outside.stack.post("/v1/embeddings", {"input": tokens, "model": "now"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_argument")
    assert error["param"] == "input"
    assert "tokens" in error["message"]


def test_openai_form_holds_for_all_errors_of_its_paths(outside: Outside) -> None:
    for answer in (
        outside.stack.client.post("/v1/embeddings", content=b"{"),
        outside.stack.client.get("/v1/embeddings"),
        outside.stack.client.get("/v1/nothing"),
        outside.stack.post("/v1/embeddings", {"input": "a"}),
    ):
        assert answer.status_code >= 400
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_openai_lists_the_models(outside: Outside) -> None:
    data = outside.stack.client.get("/v1/models").json()["data"]
    assert {one["id"] for one in data} == {"now", "mixed", "later", "wide", "tired"}


def test_openai_tells_of_one_model(outside: Outside) -> None:
    answer = outside.stack.client.get("/v1/models/now")
    assert (answer.status_code, answer.json()["id"]) == (200, "now")
    missing = outside.stack.client.get("/v1/models/nobody")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": ["a", " "]}, "input"),
        ({"input": "x" * 1_100_000}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"model": 7}, "model"),
    ],
)
def test_openai_wrong_fields_are_400_and_named(outside: Outside, wrong: dict[str, Any], param: str) -> None:
    error = refused(outside.stack, "/v1/embeddings", {"input": "a", "model": "now"} | wrong, 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


def test_openai_null_is_as_if_it_was_not_given(outside: Outside) -> None:
    body = {"input": "null", "model": "now", "encoding_format": None, "dimensions": None}
    (one,) = outside.stack.post("/v1/embeddings", body).json()["data"]
    assert len(one["embedding"]) == DIMENSION


def test_openai_answers_at_once_or_refuses(outside: Outside) -> None:
    texts = [f"at once {number}" for number in range(60)]
    answer = outside.stack.post("/v1/embeddings", {"input": texts, "model": "mixed"})
    assert len(answer.json()["data"]) == 60
    error = refused(outside.stack, "/v1/embeddings", {"input": "a", "model": "later"}, 409)
    assert error["code"] == "model_is_bulk_only"


# --- status ---------------------------------------------------------------------------------


def test_status_tells_every_model_and_endpoint(outside: Outside) -> None:
    outside.stack.data(outside.stack.post(GENERATE, {"text": "status", "model": "now"}))

    def now() -> dict[str, Any]:
        models = outside.stack.data(outside.stack.client.get("/external/status"))["models"]
        assert {one["model"] for one in models} == {"now", "mixed", "later", "wide", "tired"}
        found: dict[str, Any] = next(one for one in models if one["model"] == "now")
        return found

    wait_until("a probe has found it well", lambda: now()["health"] == "healthy")
    found = now()
    assert (found["pattern"], found["protocol"], found["external"]) == ("real_time", "openai", True)
    (endpoint,) = found["endpoints"]
    assert endpoint["address"] == outside.servers["now"].url
    assert endpoint["latency_ms"] > 0


def test_status_tells_a_server_that_is_away(outside: Outside) -> None:
    def health() -> str:
        models = outside.stack.data(outside.stack.client.get("/external/status"))["models"]
        return str(next(one["health"] for one in models if one["model"] == "wide"))

    outside.servers["wide"].kill()
    try:
        outside.stack.post(GENERATE, {"text": "away", "model": "wide"})
        wait_until("it is told", lambda: health() == "unavailable")
    finally:
        outside.servers["wide"].restart()
    wait_until("it is back", lambda: health() == "healthy")
