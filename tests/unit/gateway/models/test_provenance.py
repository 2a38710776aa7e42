"""Provenance is put before a point's metadata, and taken off again byte by byte."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from xxhash import xxh3_128_hexdigest

from hanax.core.model_routes import ModelRoute
from hanax.gateway.provenance import add_provenance, split_provenance

MODEL = ModelRoute(name="m", dimension=3, max_tokens=8, endpoints=("http://a",), version="v1")
NOW_US = 1_767_323_045_123_456


@pytest.mark.parametrize(
    "metadata", [{}, {"a": 1}, {"text": 'quo"te } {', "deep": {"_embedding": {"model": "x"}}}, {"é": ["}"]}]
)
@pytest.mark.parametrize("name", ["m", 'odd "name" \\ with } and {', "модель"])
def test_what_was_put_on_comes_off_again(metadata: dict[str, Any], name: str) -> None:
    raw = orjson.dumps(metadata)
    model = MODEL.model_copy(update={"name": name})
    (stored,) = add_provenance([raw], ["text"], model, NOW_US)
    assert list(orjson.loads(stored)) == ["_embedding", *metadata]
    own, provenance = split_provenance(stored)
    assert own == raw
    assert provenance is not None
    assert orjson.loads(provenance) == {
        "model": name,
        "version": "v1",
        "pattern": "real_time",
        "at": "2026-01-02T03:04:05Z",
        "content_hash": xxh3_128_hexdigest(b"text"),
    }


@pytest.mark.parametrize("raw", [b"{}", b'{"a":{"_embedding":1}}', b'{"_embeddings":{"a":1}}'])
def test_metadata_without_it_stay_as_they_are(raw: bytes) -> None:
    assert split_provenance(raw) == (raw, None)


def test_the_hash_is_of_the_text_alone() -> None:
    first, second, other = add_provenance([b"{}", b'{"a":1}', b"{}"], ["x", "x", "y"], MODEL, NOW_US)
    hashes = [orjson.loads(stored)["_embedding"]["content_hash"] for stored in (first, second, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 32
