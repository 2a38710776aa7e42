"""A cross-encoder on this project's embedder: of queries of libraries, and asked directly at every door."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hanax.core.model_routes import ModelRoute
from hxp_vector_client import VectorClient
from hxp_vector_client.errors import InvalidText, ModelNotFound
from tests.integration.embedder_process import EmbedderProcess
from tests.integration.gateway.libraries.conftest import Api
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.waiting import wait_until
from tests.unit.embedder.tiny_models import TinyCrossEncoder

QUERY = "salt and the sea"
TEXTS = [f"{'sea ' * n}{'salt ' * m}word" for n in range(4) for m in range(4)]

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyCrossEncoder().save(tmp_path_factory.mktemp("models") / "reranker")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Iterator[EmbedderProcess]:
    process = EmbedderProcess(embedder_backend="hash", embedder_rerank_model=str(folder))
    process.logged("ready")
    yield process
    process.end()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, embedder: EmbedderProcess) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("reranked")
    here, away = f"grpc://{embedder.address}", "grpc://127.0.0.1:9"
    models = [
        {"name": "ours", "urls": [here], "protocol": "embedder", "model": "reranker", "max_texts": 3},
        {"name": "one-of-two", "urls": [away, here], "protocol": "embedder", "model": "reranker"},
        {"name": "hash", "urls": [here], "protocol": "embedder", "model": "hash-384"},
        {"name": "nobody", "urls": [here], "protocol": "embedder"},
    ]
    route = ModelRoute(name="hash-384", dimension=384, max_tokens=8_192, endpoints=(embedder.address,))
    settings = {
        "database_url": f"sqlite:///{folder / 'metadata.db'}",
        "database_timeout_s": 30,
        "request_timeout_s": 60,
        "rerank_models": json.dumps(models),
    }
    with running_stack(folder, (route,), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def scored(stack: Stack) -> Api:
    return Api(stack.client)


@pytest.fixture(scope="module")
def library(scored: Api) -> str:
    made = scored.library(model="hash-384", index={"type": "brute_force"})
    scored.document(made, title=uuid.uuid4().hex, chunks=[{"text": text} for text in TEXTS])
    return made


def by_reading(model: str, **more: Any) -> dict[str, Any]:
    rerank = {"type": "cross_encoder", "model": model, "candidates": len(TEXTS), **more}
    return {"text": QUERY, "k": len(TEXTS), "rerank": rerank}


def predicted(folder: Path) -> dict[str, float]:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    scores = model.predict([(QUERY, text) for text in TEXTS], show_progress_bar=False)
    return dict(zip(TEXTS, map(float, scores), strict=True))


@pytest.mark.parametrize("model", ["ours", "one-of-two"])
def test_a_query_is_ordered_by_what_the_model_says(
    scored: Api, library: str, folder: Path, model: str
) -> None:
    """Of two places one is away: the other answers."""
    found = scored.query(library, **by_reading(model))["results"]
    expected = predicted(folder)
    assert {one["text"] for one in found} == set(TEXTS)
    scores = [one["rerank_score"] for one in found]
    np.testing.assert_allclose(scores, [expected[one["text"]] for one in found], atol=1e-5)
    assert scores == sorted(scores, reverse=True)
    # So that another order would be noticed.
    assert np.ptp(scores) > 0.01


def test_a_model_that_is_no_cross_encoder_fails_the_step(scored: Api, library: str) -> None:
    path = f"/api/v1/libraries/{library}/query"
    error = scored.refused("POST", path, by_reading("hash"), 409)
    assert error["code"] == "model_conflict"
    assert error["details"]["step"] == "rerank"
    assert "hash-384 makes vectors" in error["message"]


def test_a_model_that_the_embedder_does_not_serve_fails_it_too(scored: Api, library: str) -> None:
    """At once: where it can't be mended, the time of the step is not waited for."""
    steps = {"rerank": {"timeout_s": 60, "retries": 0}}
    path = f"/api/v1/libraries/{library}/query"
    error = scored.refused("POST", path, {**by_reading("nobody"), "steps": steps}, 502)
    assert "no model 'nobody' is served here" in error["message"]
    skipped = scored.query(library, **by_reading("nobody", on_failure="skip"), steps=steps)
    assert skipped["steps"][-1]["skipped"]


DOCUMENTS = TEXTS[:7]


def ranked(folder: Path) -> list[tuple[int, float]]:
    """The documents, the best first."""
    expected = predicted(folder)
    scores = [expected[text] for text in DOCUMENTS]
    return [(at, scores[at]) for at in sorted(range(len(scores)), key=lambda at: -scores[at])]


def check(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    assert [index for index, _ in found] == [index for index, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=1e-5)


def test_documents_are_put_into_order_over_rest(scored: Api, folder: Path) -> None:
    """As clients of other rerank APIs ask for it, with what this one does not know."""
    expected = ranked(folder)
    asked = {"model": "ours", "query": QUERY, "documents": DOCUMENTS, "max_tokens_per_doc": 512}
    asked |= {"top_n": None, "return_documents": None}
    answer = scored.ask("POST", "/v1/rerank", asked)
    assert answer["model"] == "ours"
    check([(one["index"], one["relevance_score"]) for one in answer["results"]], expected)
    assert all(one.keys() == {"index", "relevance_score"} for one in answer["results"])

    objects = [{"text": text, "title": "passed over"} for text in DOCUMENTS]
    asked |= {"documents": objects, "top_n": 3, "return_documents": True}
    answer = scored.ask("POST", "/v1/rerank", asked)
    check([(one["index"], one["relevance_score"]) for one in answer["results"]], expected[:3])
    assert [one["document"]["text"] for one in answer["results"]] == [
        DOCUMENTS[index] for index, _ in expected[:3]
    ]


@pytest.mark.parametrize("transport", ["rest", "grpc", "graphql"])
def test_the_client_puts_documents_into_order(stack: Stack, folder: Path, transport: Any) -> None:
    address = stack.gateway.grpc_address if transport == "grpc" else stack.gateway.url
    expected = ranked(folder)
    with VectorClient(address, transport=transport) as client:
        found = client.rerank(QUERY, DOCUMENTS, model="ours")
        check([(one.index, one.score) for one in found.results], expected)
        best = client.rerank(QUERY, DOCUMENTS, model="ours", top_n=2)
        assert (best.model, len(best.results)) == ("ours", 2)
        check([(one.index, one.score) for one in best.results], expected[:2])
        with pytest.raises(ModelNotFound):
            client.rerank(QUERY, DOCUMENTS, model="absent")
        with pytest.raises(InvalidText, match=r"documents\[1\]"):
            client.rerank(QUERY, ["a", " "], model="ours")


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "absent"}, 404, "model", "model_not_found"),
        ({"model": "hash"}, 409, None, "model_conflict"),
        ({"documents": []}, 400, "documents", "invalid_argument"),
        ({"documents": ["a"] * 1_001}, 400, "documents", "invalid_argument"),
        ({"documents": "a"}, 400, "documents", "invalid_argument"),
        ({"documents": ["a", {"body": "b"}]}, 400, "documents", "invalid_text"),
        ({"documents": ["a" * 140_000]}, 400, "documents", "text_too_long"),
        ({"query": " "}, 400, "query", "invalid_text"),
        ({"query": 7}, 400, "query", "invalid_text"),
        ({"top_n": 0}, 400, "top_n", "invalid_argument"),
    ],
)
def test_what_cannot_be_put_into_order_is_named(
    scored: Api, body: dict[str, Any], status: int, param: str | None, code: str
) -> None:
    sent = {"model": "ours", "query": QUERY, "documents": DOCUMENTS, **body}
    error = scored.ask("POST", "/v1/rerank", sent, status)["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_probes_find_out_which_places_are_well(stack: Stack, embedder: EmbedderProcess) -> None:
    def up() -> dict[str, float]:
        text = httpx.get(f"{stack.client.base_url}/metrics", timeout=30, trust_env=False).text
        found = {}
        for line in text.splitlines():
            if line.startswith("vector_db_upstream_up{") and 'pool="rerank/one-of-two"' in line:
                series, value = line.rsplit(" ", 1)
                found["here" if embedder.address in series else "away"] = float(value)
        return found

    wait_until("the one that is away is known to be", lambda: up() == {"here": 1.0, "away": 0.0})
