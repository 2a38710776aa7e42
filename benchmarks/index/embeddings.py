"""Data set d: real text through the model of the quickstart, as the embedder computes it."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.index import cache, texts

MODEL: Final = "all-MiniLM-L6-v2"
_BATCH: Final = 64


def embedded_texts(row_count: int, query_count: int) -> cache.Arrays:
    """`rows` and `queries`, float32[n, 384] of unit length, and `digest`, the SHA-256 of the texts.

    The first time this takes a minute to read the texts and some seven to embed them on two cores.
    """
    versions = [f"{package}=={metadata.version(package)}" for package in texts.PACKAGES]
    key = "\n".join([platform.python_version(), *versions, cache.source_of(texts.__file__)])

    def collected() -> texts.Texts:
        return texts.collect(row_count, query_count)

    # Read again when anything changed that they come from, and embedded again when they are others.
    size = f"{row_count}-{query_count}"
    digest = cache.kept(f"d-texts-{size}", key, lambda: {"digest": _digest(collected())})["digest"]

    def embedded() -> cache.Arrays:
        found = collected()
        vectors = _embed([*found.rows, *found.queries])
        return {"rows": vectors[:row_count], "queries": vectors[row_count:]}

    vectors = cache.kept(f"d-vectors-{size}", f"{MODEL} {digest.tobytes().hex()}", embedded)
    return {**vectors, "digest": digest}


def _digest(found: texts.Texts) -> NDArray[np.uint8]:
    text = "\n".join((*found.rows, "", *found.queries))
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)


def _embed(all_texts: list[str]) -> NDArray[np.float32]:
    """Unit vectors in the order of the texts; batches hold texts of like length."""
    from hanax.embedder.backends.model_files import find_model
    from hanax.embedder.backends.torch_backend import TorchBackend

    backend = TorchBackend(find_model(MODEL), os.cpu_count() or 1)
    tokens = backend.tokenize(all_texts)
    order = np.argsort([found.count for found in tokens], kind="stable")
    vectors = np.empty((len(all_texts), backend.info.dimension), np.float32)
    for first in range(0, len(order), _BATCH):
        places = order[first : first + _BATCH]
        vectors[places] = backend.embed([tokens[place] for place in places])
        if first // _BATCH % 100 == 0:
            print(f"  embedding: {first:,} of {len(order):,} texts", flush=True)
    backend.close()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)
