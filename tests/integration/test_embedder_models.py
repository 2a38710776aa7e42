"""Many models in one embedder: declared, loaded when asked for, let go; and the options of a request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from citadel.vector.v1 import embedder_pb2 as pb
from tests.integration.embedder_process import CALL_S, EmbedderProcess, error_of, vectors

# More words than the hash backend reads.
READS = 8_192
LONG = "word " * (READS + 5)
MODELS = "first=x;hash, second=y;hash;lazy, broken=/no/such/model;onnx;lazy"


@pytest.fixture(scope="module")
def serving() -> Iterator[EmbedderProcess]:
    embedder = EmbedderProcess(embedder_models=MODELS)
    embedder.logged("ready")
    yield embedder
    embedder.end()


def test_models_are_served_by_their_names_and_loaded_when_asked_for(serving: EmbedderProcess) -> None:
    listed = serving.listed()
    assert [(name, model.loaded) for name, model in listed.items()] == [
        ("first", True),
        ("second", False),
        ("broken", False),
    ]
    # What is known without loading it.
    assert (listed["second"].dimension, listed["broken"].dimension) == (384, 0)
    first, second = (serving.embed("same text", model=name) for name in ("first", "second"))
    assert (first.model, second.model) == ("first", "second")
    assert first.float32_le == second.float32_le
    # Which version made them comes with the vectors, of the first ones as well.
    assert {first.version, second.version} == {model.version for model in serving.listed().values()} - {""}
    assert serving.listed()["second"].loaded
    assert serving.metric("vector_db_embedding_texts_total", 'model="second"') == 1


def test_a_lazy_model_that_cannot_be_loaded_fails_its_own_requests(serving: EmbedderProcess) -> None:
    error = error_of(lambda: serving.embed("a", model="broken"))
    assert error.code == "model_not_found"
    assert "expected a model's folder at /no/such/model" in error.message
    assert serving.embed("a", model="first").tokens == [1]
    assert serving.metric("vector_db_embedding_loads_total", 'model="broken",status="model_not_found"') == 1
    assert serving.http("/ready")[0] == 200


def test_an_unknown_model_is_told_what_there_is(serving: EmbedderProcess) -> None:
    error = error_of(lambda: serving.embed("a", model="third"))
    assert error.code == "model_not_found"
    assert error.details["served"] == ["first", "second", "broken"]


def test_the_state_tells_of_every_model(serving: EmbedderProcess) -> None:
    status, body = serving.http("/state")
    state = json.loads(body)
    assert status == 200
    assert state["budget_bytes"] > 0
    assert [model["name"] for model in state["models"]] == ["first", "second", "broken"]
    assert state["models"][0]["state"] == "loaded"


def test_a_long_text_is_truncated_refused_or_split(serving: EmbedderProcess) -> None:
    short = "a short text"
    plain = serving.embed(short, LONG, model="first")
    assert (list(plain.tokens), list(plain.truncated), list(plain.split)) == ([3, READS], [1], [])

    error = error_of(lambda: serving.embed(short, LONG, model="first", long_texts=pb.LONG_TEXTS_REFUSE))
    assert error.code == "text_too_long"
    assert error.details == {"indexes": [1], "tokens": [READS + 5], "limit": READS}

    split = serving.embed(short, LONG, model="first", long_texts=pb.LONG_TEXTS_SPLIT)
    assert (list(split.tokens), list(split.truncated), list(split.split)) == ([3, READS + 5], [], [1])
    assert vectors(split).shape == (2, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors(split), axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(vectors(split)[0], vectors(plain)[0])
    assert serving.metric("vector_db_embedding_split_total", 'model="first"') == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 64}, "expected dimensions of 384 for first, got 64"),
        ({"purpose": 9}, "there is no purpose 9"),
        ({"long_texts": 9}, "there is no treatment 9 of long texts"),
    ],
)
def test_bad_options(serving: EmbedderProcess, options: dict[str, Any], message: str) -> None:
    error = error_of(lambda: serving.embed("a", model="first", **options))
    assert error.code == "invalid_argument"
    assert message in error.message


def test_options_that_any_model_takes(serving: EmbedderProcess) -> None:
    plain = serving.embed("a text", model="first")
    asked = serving.embed("a text", model="first", dimensions=384, purpose=pb.PURPOSE_QUERY, urgent=True)
    assert asked.float32_le == plain.float32_le


def test_many_callers_of_many_models_at_once(serving: EmbedderProcess) -> None:
    texts = [f"text number {number}" for number in range(200)]

    def ask(number: int) -> Any:
        model = ("first", "second")[number % 2]
        return serving.embed(texts[number], model=model, urgent=number % 3 == 0)

    with ThreadPoolExecutor(16) as callers:
        together = list(callers.map(ask, range(len(texts))))
    for number in range(0, len(texts), 20):
        assert together[number].float32_le == ask(number).float32_le


@pytest.mark.parametrize("models", ["no-path", "a=b;cuda", "a=b,a=c"])
def test_what_cannot_be_served_is_said_at_start(models: str) -> None:
    found = subprocess.run(
        [sys.executable, "-P", "-m", "hanax.embedder"],
        env={**os.environ, "HANAX_EMBEDDER_MODELS": models, "HANAX_EMBEDDER_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
    )
    assert found.returncode == 1
    assert "HANAX_EMBEDDER_MODELS" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_call_that_is_cancelled_computes_nothing_more(serving: EmbedderProcess) -> None:
    request = pb.EmbedRequest(model="first", texts=[LONG] * 100)
    calls = [serving.stub.Embed.future(request, timeout=CALL_S) for _ in range(4)]
    for call in calls:
        call.cancel()
    assert all(call.code() is grpc.StatusCode.CANCELLED for call in calls)
    assert serving.embed("still here", model="first").tokens == [2]
