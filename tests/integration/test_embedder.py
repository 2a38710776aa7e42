"""The embedder as a process, over real gRPC: start, answers, refusals, and the way it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import numpy.typing as npt
import pytest

from citadel.vector.v1 import embedder_pb2
from hanax.core.limits import MAX_TEXT_BYTES
from hanax.rpc.errors import error_from_call
from tests.integration.embedder_process import CALL_S, MODEL, EmbedderProcess, error_of, vectors
from tests.integration.waiting import wait_until

# 16,384 tokens: half a second of work for two cores.
LONG_TEXTS = ["the quick brown fox jumps over the lazy dog " * 40] * 64


@pytest.fixture
def launch() -> Iterator[Callable[..., EmbedderProcess]]:
    started: list[EmbedderProcess] = []

    def start(**settings: str) -> EmbedderProcess:
        started.append(EmbedderProcess(**settings))
        return started[-1]

    yield start
    for embedder in started:
        embedder.end()


@pytest.fixture(scope="module")
def thinking() -> Iterator[EmbedderProcess]:
    embedder = EmbedderProcess()
    embedder.logged("ready")
    yield embedder
    embedder.end()


@pytest.fixture(scope="module")
def hashing() -> Iterator[EmbedderProcess]:
    embedder = EmbedderProcess(embedder_backend="hash")
    embedder.logged("ready")
    yield embedder
    embedder.end()


def test_the_life_of_an_embedder(launch: Callable[..., EmbedderProcess]) -> None:
    embedder = launch(drain_grace_s="240")
    # It listens before the model is loaded, and says so.
    assert not embedder.is_serving()
    assert embedder.http("/health")[0] == 200
    assert embedder.http("/ready")[0] == 503
    assert error_of(lambda: embedder.embed("too early")).code == "unavailable"
    assert not embedder.lists_models()

    embedder.logged("ready")
    wait_until("serving", embedder.is_serving)
    assert embedder.http("/ready")[0] == 200
    (model,) = embedder.stub.ListModels(embedder_pb2.ListModelsRequest(), timeout=CALL_S).models
    assert (model.name, model.dimension, model.max_tokens) == (MODEL, 384, 256)
    assert (model.backend, model.semantic, model.loaded) == ("onnx", True, True)
    assert model.version
    assert model.memory_bytes > 50_000_000

    answer = embedder.embed("how do I hash a file", "word " * 300, "Return a digest of a file.")
    assert (answer.model, answer.dimension) == (MODEL, 384)
    assert list(answer.tokens) == [8, 256, 9]
    assert list(answer.truncated) == [1]
    found = vectors(answer)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)
    assert found[0] @ found[2] > found[0] @ found[1] + 0.2

    # Told to stop, it ends what it is at and takes nothing new.
    batches = embedder.metric("vector_db_embedding_batch_texts_count")
    with ThreadPoolExecutor(2) as callers:
        running = [callers.submit(embedder.embed, *LONG_TEXTS, *LONG_TEXTS) for _ in range(2)]
        wait_until("a batch", lambda: embedder.metric("vector_db_embedding_batch_texts_count") > batches)
        embedder.process.send_signal(signal.SIGTERM)
        embedder.logged("draining")
        wait_until("refusing", lambda: not embedder.lists_models())
        assert error_of(lambda: embedder.embed("one more")).code == "unavailable"
        assert not all(call.done() for call in running)
        for call in running:
            assert vectors(call.result(CALL_S)).shape == (128, 384)
    embedder.logged("stopped")
    assert embedder.process.wait(CALL_S) == 0


def test_a_drain_is_cut_at_its_grace(launch: Callable[..., EmbedderProcess]) -> None:
    embedder = launch(drain_grace_s="0.1")
    embedder.logged("ready")
    with ThreadPoolExecutor(4) as callers:
        running = [callers.submit(embedder.embed, *LONG_TEXTS, *LONG_TEXTS) for _ in range(4)]
        wait_until("a batch", lambda: embedder.metric("vector_db_embedding_batch_texts_count") > 0)
        embedder.process.send_signal(signal.SIGTERM)
        failures = [call.exception(CALL_S) for call in running]
    assert any(isinstance(failure, grpc.RpcError) for failure in failures)
    assert embedder.process.wait(CALL_S) == 0


def test_a_stop_while_the_model_loads(launch: Callable[..., EmbedderProcess]) -> None:
    embedder = launch()
    embedder.process.send_signal(signal.SIGTERM)
    assert embedder.process.wait(CALL_S) == 0


def test_a_full_queue_refuses_at_once_and_cancelling_empties_it(thinking: EmbedderProcess) -> None:
    request = embedder_pb2.EmbedRequest(model=MODEL, texts=LONG_TEXTS)
    calls = [thinking.stub.Embed.future(request) for _ in range(20)]
    # 20 * 64 texts are more than may wait, and far more than is computed meanwhile.
    wait_until("a refusal", lambda: any(call.done() for call in calls))
    (refused, *_) = (call for call in calls if call.done())
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    error = error_of(refused.result)
    assert error.code == "overloaded"
    assert error.details["limit"] == 1_024
    assert error.details["retry_after_s"] > 0
    assert thinking.metric("vector_db_embedding_queue_texts") > 512

    for call in calls:
        call.cancel()
    wait_until("empty", lambda: thinking.metric("vector_db_embedding_queue_texts") == 0)
    assert thinking.metric("vector_db_embedding_texts_total") < 20 * len(LONG_TEXTS)
    assert vectors(thinking.embed("still here")).shape == (1, 384)


def test_a_passed_deadline_empties_the_queue(thinking: EmbedderProcess) -> None:
    error = error_of(lambda: thinking.embed(*LONG_TEXTS, timeout_s=0.1))
    assert error.code == "deadline_exceeded"
    wait_until("empty", lambda: thinking.metric("vector_db_embedding_queue_texts") == 0)


@pytest.mark.parametrize(
    ("texts", "model", "code", "message"),
    [
        ((), "hash-384", "invalid_argument", "expected 1 to 128 texts in a request, got 0"),
        (("a",) * 129, "hash-384", "invalid_argument", "got 129"),
        (("a", "  "), "hash-384", "invalid_text", "text 1 is empty"),
        (("x" * (MAX_TEXT_BYTES + 1),), "hash-384", "text_too_long", "at most 131072"),
        (("a",), MODEL, "model_not_found", "served: hash-384"),
        (("a",), "", "model_not_found", "served: hash-384"),
    ],
)
def test_bad_requests(
    hashing: EmbedderProcess, texts: tuple[str, ...], model: str, code: str, message: str
) -> None:
    error = error_of(lambda: hashing.embed(*texts, model=model))
    assert error.code == code
    assert message in error.message


def test_errors_carry_an_error_info(hashing: EmbedderProcess) -> None:
    with pytest.raises(grpc.RpcError) as found:
        hashing.embed("a", " ", model="hash-384")
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_from_call(found.value).details == {"index": 1}


def test_the_hash_backend_answers(hashing: EmbedderProcess) -> None:
    (model,) = hashing.stub.ListModels(embedder_pb2.ListModelsRequest(), timeout=CALL_S).models
    assert (model.name, model.semantic) == ("hash-384", False)
    answer = hashing.embed("same text", "other words", "same text", model="hash-384")
    found = vectors(answer)
    assert np.array_equal(found[0], found[2])
    assert list(answer.tokens) == [2, 2, 2]


def test_a_model_is_served_under_the_name_it_is_given(launch: Callable[..., EmbedderProcess]) -> None:
    named = launch(embedder_backend="hash", embedder_name="minilm")
    named.logged("ready")
    (model,) = named.stub.ListModels(embedder_pb2.ListModelsRequest(), timeout=CALL_S).models
    answer = named.embed("a text", model="minilm")
    assert (model.name, answer.model) == ("minilm", "minilm")
    assert error_of(lambda: named.embed("a text", model="hash-384")).code == "model_not_found"


def test_requests_of_many_callers_at_once(hashing: EmbedderProcess) -> None:
    texts = [f"text number {number}" for number in range(300)]

    def ask(text: str) -> npt.NDArray[np.float32]:
        vector: npt.NDArray[np.float32] = vectors(hashing.embed(text, model="hash-384"))[0]
        return vector

    with ThreadPoolExecutor(32) as callers:
        together = list(callers.map(ask, texts))
    for text, vector in zip(texts[:20], together, strict=False):
        assert np.array_equal(ask(text), vector)


def test_metrics_count_what_happened(hashing: EmbedderProcess) -> None:
    before = hashing.metric("vector_db_embedding_texts_total")
    hashing.embed("one", "two", model="hash-384")
    error_of(lambda: hashing.embed("one", model="no-such-model"))
    assert hashing.metric("vector_db_embedding_texts_total") == before + 2
    _, text = hashing.http("/metrics")
    for series in (
        'vector_db_requests_total{method="Embed",service="embedder",status="ok"}',
        'vector_db_requests_total{method="Embed",service="embedder",status="model_not_found"}',
        'vector_db_request_duration_seconds_count{method="Embed",service="embedder"}',
        'vector_db_embedding_duration_seconds_count{model="hash-384"}',
        'vector_db_embedding_batch_tokens_count{model="hash-384"}',
        'vector_db_embedding_truncated_total{model="hash-384"}',
        'vector_db_embedding_padding_tokens_total{model="hash-384"}',
        'vector_db_embedding_model_queue_texts{model="hash-384"}',
        'vector_db_embedding_loads_total{model="hash-384",status="ok"}',
        'vector_db_embedding_model_loaded{model="hash-384"}',
        "vector_db_embedding_queue_texts",
    ):
        assert any(line.startswith(series) for line in text.splitlines()), series


def test_a_model_that_is_not_there(launch: Callable[..., EmbedderProcess]) -> None:
    embedder = launch(embedder_model="/no/such/model")
    line = embedder.logged("the model could not be loaded")
    assert "expected a model's folder at /no/such/model" in line["error"]
    assert embedder.process.wait(CALL_S) == 1


def test_a_port_that_is_taken(hashing: EmbedderProcess) -> None:
    taken = hashing.address.rsplit(":", 1)[1]
    found = subprocess.run(
        [sys.executable, "-P", "-m", "hanax.embedder"],
        env={**os.environ, "HANAX_EMBEDDER_PORT": taken, "HANAX_EMBEDDER_BACKEND": "hash"},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )
    assert found.returncode == 1
    assert "cannot listen" in found.stderr
    assert "Traceback" not in found.stderr
