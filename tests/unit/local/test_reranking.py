"""How the local stack's gateways are told of its cross-encoder."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hanax.core.errors import InvalidArgument
from hanax.local.reranking import check_rerank_model, rerank_variables

OTHER = {"name": "cohere", "urls": ["https://api.example.com"], "protocol": "cohere"}


def told(model: str, declared: str = "") -> object:
    return orjson.loads(
        rerank_variables({"HANAX_RERANK_MODELS": declared}, model, "127.0.0.1:9301")["HANAX_RERANK_MODELS"]
    )


def ours(name: str) -> dict[str, object]:
    return {"name": name, "urls": ["grpc://127.0.0.1:9301"], "protocol": "embedder"}


def test_it_is_called_as_the_embedder_calls_it(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    assert told(str(tmp_path / "small")) == [ours("small")]
    assert told("cross-encoder/mini") == [ours("cross-encoder/mini")]


def test_it_comes_beside_those_that_are_declared() -> None:
    assert told("mini", orjson.dumps([OTHER]).decode()) == [OTHER, ours("mini")]


def test_without_one_nothing_changes() -> None:
    assert rerank_variables({"HANAX_RERANK_MODELS": "[]"}, "", "127.0.0.1:9301") == {}


def test_what_cannot_be_read_is_left_to_the_gateway() -> None:
    for text in ("{", "7"):
        assert rerank_variables({"HANAX_RERANK_MODELS": text}, "mini", "127.0.0.1:9301") == {}


def check(model: str, declared: str = "") -> None:
    check_rerank_model({"HANAX_RERANK_MODELS": declared}, model)


def test_a_name_that_gateways_refuse_is_refused_before_they_start(tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    folder.mkdir()
    with pytest.raises(InvalidArgument, match="HANAX_EMBEDDER_RERANK_MODEL: it would be called 'my model'"):
        check(str(folder))
    with pytest.raises(
        InvalidArgument, match="HANAX_RERANK_MODELS has another model that is called 'cohere'"
    ):
        check("cohere", orjson.dumps([OTHER]).decode())


def test_other_names_are_taken(tmp_path: Path) -> None:
    for model in ("", str(tmp_path), "cross-encoder/mini"):
        check(model, orjson.dumps([OTHER]).decode())
    # What is wrong with it the gateway says.
    for text in ("{", "7", "[7]"):
        check("mini", text)
