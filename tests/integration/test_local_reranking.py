"""The local stack with a cross-encoder: its own embedder serves it, and its gateways know it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.settings import LocalSettings
from hanax.local.layout import Layout
from hanax.local.stack import Stack
from tests.integration.local_stack import LocalStack
from tests.unit.embedder.tiny_models import TinyCrossEncoder

QUERY = "salt and the sea"
TEXTS = ["salt", "the sea and the word", "a passage", QUERY]

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyCrossEncoder().save(tmp_path_factory.mktemp("models") / "tiny-reranker")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[LocalStack]:
    away = [{"name": "away", "urls": ["http://127.0.0.1:9"]}]
    running = LocalStack(
        tmp_path_factory.mktemp("stack") / "data",
        HANAX_EMBEDDER_RERANK_MODEL=str(folder),
        HANAX_RERANK_MODELS=json.dumps(away),
        HANAX_EMBED_TIMEOUT_S="180",
        HANAX_REQUEST_TIMEOUT_S="180",
        CUDA_VISIBLE_DEVICES="",
    )
    try:
        running.up()
        yield running
    finally:
        running.end()


def ask(stack: LocalStack, path: str, body: dict[str, Any], status: int = 200) -> Any:
    url = stack.state().api_url + path
    answer = httpx.post(url, json=body, timeout=240, trust_env=False)
    assert answer.status_code == status, answer.text
    return answer.json()


def predicted(folder: Path) -> dict[str, float]:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    scores = model.predict([(QUERY, text) for text in TEXTS], show_progress_bar=False)
    return dict(zip(TEXTS, map(float, scores), strict=True))


def rerank(stack: LocalStack) -> dict[str, float]:
    body = {"model": "tiny-reranker", "query": QUERY, "documents": TEXTS}
    return {TEXTS[one["index"]]: one["relevance_score"] for one in ask(stack, "/v1/rerank", body)["results"]}


def check(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[text] for text in TEXTS], [expected[text] for text in TEXTS], atol=1e-5)


def test_a_library_is_queried_with_it(stack: LocalStack, folder: Path) -> None:
    made = ask(stack, "/api/v1/libraries", {"name": "notes", "index": {"type": "brute_force"}}, 201)
    path = f"/api/v1/libraries/{made['id']}"
    ask(stack, f"{path}/documents", {"title": "d", "chunks": [{"text": text} for text in TEXTS]}, 201)
    asked = {"text": QUERY, "k": 4, "rerank": {"type": "cross_encoder", "model": "tiny-reranker"}}
    results = ask(stack, f"{path}/query", asked)["results"]
    check({one["text"]: one["rerank_score"] for one in results}, predicted(folder))
    scores = [one["rerank_score"] for one in results]
    assert scores == sorted(scores, reverse=True)


def test_those_that_are_declared_stand_beside_it(stack: LocalStack) -> None:
    body = {"model": "nobody", "query": QUERY, "documents": TEXTS}
    message = ask(stack, "/v1/rerank", body, 404)["error"]["message"]
    assert "declared are: away, tiny-reranker" in message


def test_it_is_no_model_that_embeds(stack: LocalStack) -> None:
    models = [one["model"] for one in stack.call("GET", "/external/status")["models"]]
    assert models == ["hash-384"]


def test_a_request_waits_for_an_embedder_that_starts_again(stack: LocalStack, folder: Path) -> None:
    psutil.Process(stack.pids()["embedder"]).kill()
    check(rerank(stack), predicted(folder))


def test_a_folder_whose_name_gateways_refuse_is_refused_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    folder.mkdir()
    layout = Layout.at(tmp_path / "data")
    layout.create()
    with pytest.raises(InvalidArgument, match="it would be called 'my model'"):
        Stack(LocalSettings(embedder_rerank_model=str(folder)), layout)
