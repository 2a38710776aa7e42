"""A cross-encoder in the embedder, over real gRPC: scores, refusals, bounds, and callers that go away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from citadel.vector.v1 import embedder_pb2 as pb
from hanax.core.limits import MAX_EMBED_TEXTS, MAX_TEXT_BYTES
from tests.integration.embedder_process import CALL_S, EmbedderProcess, error_of
from tests.integration.waiting import wait_until
from tests.unit.embedder.tiny_models import MAX_TOKENS, TinyCrossEncoder

QUERY = "salt and the sea"
TEXTS = ["salt", "the sea and the word", "word " * 40, "a passage of the sea", QUERY]
# May wait for one model.
WAITING = 64

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyCrossEncoder().save(tmp_path_factory.mktemp("models") / "reranker")


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[EmbedderProcess]:
    """As the setting says it, beside an embedding model."""
    embedder = EmbedderProcess(
        embedder_models="words=x;hash",
        embedder_rerank_model=str(folder),
        embedder_queue_texts=str(WAITING),
    )
    embedder.logged("ready")
    yield embedder
    embedder.end()


def rerank(
    embedder: EmbedderProcess,
    *texts: str,
    query: str = QUERY,
    model: str = "reranker",
    timeout_s: float = CALL_S,
) -> Any:
    request = pb.RerankRequest(model=model, query=query, texts=texts)
    return embedder.stub.Rerank(request, timeout=timeout_s)


def predicted(folder: Path, query: str, texts: list[str]) -> Any:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    return model.predict([(query, text) for text in texts], show_progress_bar=False)


def test_scores_are_those_of_sentence_transformers(serving: EmbedderProcess, folder: Path) -> None:
    before = serving.metric("vector_db_embedding_texts_total", 'model="reranker"')
    answer = rerank(serving, *TEXTS)
    np.testing.assert_allclose(answer.scores, predicted(folder, QUERY, TEXTS), atol=1e-5)
    assert np.ptp(answer.scores) > 0.01
    assert answer.model == "reranker"
    assert list(answer.truncated) == [2]
    assert answer.tokens[2] == MAX_TOKENS
    assert answer.version == serving.listed()["reranker"].version != ""
    assert serving.metric("vector_db_embedding_texts_total", 'model="reranker"') == before + len(TEXTS)
    assert serving.metric("vector_db_embedding_model_loaded", 'model="reranker"') == 1


def test_callers_at_once_have_their_own_scores(serving: EmbedderProcess) -> None:
    """Their texts go through the model together."""
    queries = ["sea", "salt", "the word", QUERY]
    expected = {query: list(rerank(serving, *TEXTS, query=query).scores) for query in queries}

    def ask(number: int) -> None:
        query = queries[number % len(queries)]
        found = rerank(serving, *TEXTS, query=query).scores
        np.testing.assert_allclose(found, expected[query], atol=1e-5)

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(ask, range(40)))


def test_it_is_told_beside_the_others(serving: EmbedderProcess) -> None:
    listed = serving.listed()
    tasks = {name: (model.task, model.dimension, model.loaded) for name, model in listed.items()}
    assert tasks == {
        "words": (pb.MODEL_TASK_EMBED, 384, True),
        "reranker": (pb.MODEL_TASK_RERANK, 0, True),
    }
    assert listed["reranker"].memory_bytes > 0
    state = json.loads(serving.http("/state")[1])
    assert [(one["name"], one["task"]) for one in state["models"]] == [
        ("words", "embed"),
        ("reranker", "rerank"),
    ]


def test_a_model_is_asked_for_what_it_does(serving: EmbedderProcess) -> None:
    error = error_of(lambda: serving.embed("a", model="reranker"))
    assert error.code == "model_conflict"
    assert "reranker is a cross-encoder, which makes no vectors" in error.message
    error = error_of(lambda: rerank(serving, "a", model="words"))
    assert error.code == "model_conflict"
    assert "words makes vectors, and no scores" in error.message
    error = error_of(lambda: rerank(serving, "a", model="third"))
    assert error.code == "model_not_found"
    assert error.details["served"] == ["words", "reranker"]


@pytest.mark.parametrize(
    ("texts", "query", "code", "message"),
    [
        ([], QUERY, "invalid_argument", f"expected 1 to {MAX_EMBED_TEXTS} texts"),
        (["a"] * (MAX_EMBED_TEXTS + 1), QUERY, "invalid_argument", f"got {MAX_EMBED_TEXTS + 1}"),
        (["a", " "], QUERY, "invalid_text", "text 1 is empty"),
        (["a"], "\n", "invalid_text", "the query is empty"),
        (["a"], "a" * (MAX_TEXT_BYTES + 1), "text_too_long", "the query has"),
        (["b", "a" * (MAX_TEXT_BYTES + 1)], QUERY, "text_too_long", "text 1 has"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    serving: EmbedderProcess, texts: list[str], query: str, code: str, message: str
) -> None:
    error = error_of(lambda: rerank(serving, *texts, query=query))
    assert error.code == code
    assert message in error.message


def test_more_than_may_wait_is_refused_at_once(serving: EmbedderProcess) -> None:
    error = error_of(lambda: rerank(serving, *["salt"] * (WAITING + 1)))
    assert error.code == "overloaded"
    assert error.details["limit"] == WAITING
    assert len(rerank(serving, *["salt"] * WAITING).scores) == WAITING


def test_a_request_whose_time_is_over_ends(serving: EmbedderProcess) -> None:
    error = error_of(lambda: rerank(serving, *TEXTS, timeout_s=0.000_1))
    assert error.code == "deadline_exceeded"
    assert rerank(serving, "salt").scores


def test_callers_that_go_away_leave_nothing_in_the_line(serving: EmbedderProcess) -> None:
    request = pb.RerankRequest(model="reranker", query=QUERY, texts=["salt " * 2_000] * WAITING)
    calls = [serving.stub.Rerank.future(request, timeout=CALL_S) for _ in range(2)]
    for call in calls:
        call.cancel()
    assert all(call.code() is grpc.StatusCode.CANCELLED for call in calls)
    waiting = "vector_db_embedding_model_queue_texts"
    wait_until("an empty line", lambda: serving.metric(waiting, 'model="reranker"') == 0)
    assert rerank(serving, "salt").scores
