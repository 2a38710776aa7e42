"""What HANAX_RERANK_MODELS may say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from hanax.core.errors import InvalidArgument
from hanax.gateway.models.rerankers import declared_rerankers


def declared(**fields: Any) -> str:
    return orjson.dumps([{"name": "bge", "urls": ["http://reranker"], **fields}]).decode()


def test_models_of_all_protocols() -> None:
    models = [
        {"name": "ours", "urls": ["grpc://a:9301", "grpcs://b:9301"], "protocol": "embedder"},
        {"name": "tei", "urls": ["http://c"]},
        {"name": "cohere", "urls": ["https://d"], "protocol": "cohere"},
    ]
    found = declared_rerankers(orjson.dumps(models).decode())
    assert [(one.name, one.protocol) for one in found] == [
        ("ours", "embedder"),
        ("tei", "tei"),
        ("cohere", "cohere"),
    ]
    assert declared_rerankers(" ") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        (declared(protocol="embedder"), "0: urls: expected grpc:// or grpcs:// for protocol embedder"),
        (declared(urls=["grpc://a:1"]), "0: urls: expected http:// or https:// for protocol tei"),
        (declared(urls=["ftp://a"]), "0.urls.0"),
        (declared(protocol="magic"), "0.protocol"),
        (declared(max_texts=0), "0.max_texts"),
        (
            declared(protocol="embedder", urls=["grpc://a:1"], max_texts=129),
            "max_texts: expected at most 128 for protocol embedder, got 129",
        ),
        ('[{"name": "a", "urls": ["http://x"]}, {"name": "a", "urls": ["http://y"]}]', "different names"),
    ],
)
def test_what_cannot_be_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        declared_rerankers(text)
    assert refused.value.message.startswith("HANAX_RERANK_MODELS")
    assert message in refused.value.message
