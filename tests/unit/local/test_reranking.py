"""How the local stack's gateways are told of its cross-encoder."""

from __future__ import annotations

from pathlib import Path

import orjson

from hanax.local.reranking import rerank_variables

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
