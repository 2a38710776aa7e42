"""What HANAX_EMBEDDER_MODELS may say, and what is served without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.settings import EmbedderSettings
from hanax.embedder.backends import Task
from hanax.embedder.declarations import MAX_MODELS, DeclaredModel, declared_models


def declared(text: str = "", **settings: Any) -> list[DeclaredModel]:
    return declared_models(EmbedderSettings(embedder_models=text, **settings), threads=2)


def as_tuple(model: DeclaredModel) -> tuple[str, str, str, str, bool]:
    choice = model.choice
    return model.name, choice.model, choice.backend, choice.precision, model.lazy


def test_words() -> None:
    models = declared("mini=all-MiniLM-L6-v2, big=/models/big;onnx;int8;lazy,h=x;hash,b=y;bfloat16")
    assert [as_tuple(model) for model in models] == [
        ("mini", "all-MiniLM-L6-v2", "auto", "auto", False),
        ("big", "/models/big", "onnx", "int8", True),
        ("h", "x", "hash", "auto", False),
        ("b", "y", "auto", "bfloat16", False),
    ]


def test_json() -> None:
    text = '[{"name": "a", "path": "b"}, {"name": "c", "path": "d", "backend": "hash", "lazy": true}]'
    assert [as_tuple(model) for model in declared(text)] == [
        ("a", "b", "auto", "auto", False),
        ("c", "d", "hash", "auto", True),
    ]


def test_the_single_form(tmp_path: Path) -> None:
    folder = tmp_path / "own-model"
    folder.mkdir()

    def name(**settings: Any) -> str:
        (model,) = declared(**settings)
        return model.name

    assert name() == "all-MiniLM-L6-v2"
    assert name(embedder_backend="hash") == "hash-384"
    assert name(embedder_backend="hash", embedder_name="x") == "x"
    assert name(embedder_model=str(folder)) == "own-model"
    assert name(embedder_model="/no/such/model") == "/no/such/model"


def test_a_cross_encoder_stands_beside_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "reranker"
    folder.mkdir()
    own = ("reranker", str(folder), "auto", "auto", False)
    for text in ("", "a=b;hash"):
        first, second = declared(text, embedder_rerank_model=str(folder), embedder_backend="hash")
        assert first.choice.backend == "hash"
        assert as_tuple(second) == own
    for name in ("mini", "auto"):
        with pytest.raises(InvalidArgument, match=f"HANAX_EMBEDDER_RERANK_MODEL: '{name}' is the name of"):
            declared("mini=b", embedder_rerank_model=name)


def test_what_each_is_to_do() -> None:
    """A model of the list may do either; another variable names a model of one kind."""
    tasks = [
        [model.choice.task for model in declared(text, embedder_rerank_model="r")] for text in ("", "a=b")
    ]
    assert tasks == [[Task.EMBED, Task.RERANK], [None, Task.RERANK]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no-equals", "expected name=path;backend;precision;lazy"),
        ("=path", "expected name=path"),
        ("a=", "at least 1 character"),
        ("a=b;cuda", "'cuda' of model a: expected one of auto, onnx"),
        ("a=b,a=c", "several models are called a"),
        ("a=b,auto=c", "no model may be called 'auto'"),
        ('[{"name": "auto", "path": "b"}]', "no model may be called 'auto'"),
        ("[]", "expected at least one model"),
        ("[{", "is no JSON"),
        ('[{"name": "a"}]', "field required"),
        ('[{"name": "a", "path": "b", "backend": "tpu"}]', "'auto', 'onnx', 'torch' or 'hash'"),
        ('[{"name": "a", "path": "b", "lazi": true}]', "there is no such field"),
        ('["a"]', "expected an object"),
        (
            orjson.dumps([{"name": f"m{i}", "path": "p"} for i in range(MAX_MODELS + 1)]).decode(),
            "at most 64",
        ),
    ],
)
def test_what_it_may_not_say(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as refused:
        declared(text)
    assert refused.value.message.startswith("HANAX_EMBEDDER_MODELS")


def test_no_model_is_called_as_requests_leave_the_choice_open(tmp_path: Path) -> None:
    folder = tmp_path / "auto"
    folder.mkdir()
    for settings in ({"embedder_model": "auto"}, {"embedder_model": str(folder)}, {"embedder_name": "auto"}):
        with pytest.raises(InvalidArgument, match="HANAX_EMBEDDER_MODEL: no model may be called 'auto'"):
            declared(**settings)
    declared(embedder_model=str(folder), embedder_name="another")
