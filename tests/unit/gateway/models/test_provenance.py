"""Provenance is put before a point's metadata, and taken off again byte by byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from xxhash import xxh3_128_hexdigest

from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.embedding import Embedded
from hanax.gateway.provenance import add_provenance, split_provenance

NOW_US = 1_767_323_045_123_456


def made_by(versions: list[str], name: str = "m") -> Embedded:
    """Vectors that versions of a model made."""
    model = ModelRoute(name=name, dimension=3, max_tokens=8, endpoints=("http://a",), version="declared")
    vectors = np.zeros((len(versions), 3), np.float32)
    return Embedded(model, vectors, None, 0, [], [], len(versions), versions)


@pytest.mark.parametrize(
    "metadata", [{}, {"a": 1}, {"text": 'quo"te } {', "deep": {"_embedding": {"model": "x"}}}, {"é": ["}"]}]
)
@pytest.mark.parametrize("name", ["m", 'odd "name" \\ with } and {', "модель"])
def test_what_was_put_on_comes_off_again(metadata: dict[str, Any], name: str) -> None:
    raw = orjson.dumps(metadata)
    (stored,) = add_provenance([raw], ["text"], made_by(["v1"], name), NOW_US)
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
    first, second, other = add_provenance(
        [b"{}", b'{"a":1}', b"{}"], ["x", "x", "y"], made_by(["v1"] * 3), NOW_US
    )
    hashes = [orjson.loads(stored)["_embedding"]["content_hash"] for stored in (first, second, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 32


def test_the_version_is_that_of_the_model_that_made_the_vector() -> None:
    """While a new version of a model is rolled out, each point tells its own."""
    stored = add_provenance([b"{}", b"{}"], ["x", "y"], made_by(["v1", "v2"]), NOW_US)
    assert [orjson.loads(raw)["_embedding"]["version"] for raw in stored] == ["v1", "v2"]
