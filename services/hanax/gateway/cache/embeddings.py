"""Vectors of texts, kept by the model, what was wanted of it, and the text."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

import numpy as np

from hanax.core.model_routes import ModelRoute
from hanax.gateway.cache.keys import text_digest
from hanax.gateway.cache.metrics import EMBEDDINGS, CacheMetrics
from hanax.gateway.cache.stores import LASTING, Store, Value
from hanax.gateway.models.kept import Row
from hanax.gateway.models.wanted import Wanted

# When it was kept, microseconds since 1970 UTC; tokens, -1 where they were not told; whether it was cut off,
# and whether it was split.
_HEAD: Final = struct.Struct("<qi??")
# Texts of one look-up: 64 vectors of 1,024 numbers are 256 KiB.
_LOOKUP_TEXTS: Final = 64
# Of one request: a larger batch is embedded once and hardly ever again, and would push out all others.
MAX_TEXTS: Final = 1_024


class KeptEmbeddings:
    """Neither call raises."""

    def __init__(self, store: Store, ttl_s: float, metrics: CacheMetrics, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._now_us = now_us
        self._store = store
        self._ttl_s = ttl_s
        self._metrics = metrics

    async def get_many(self, model: ModelRoute, wanted: Wanted, texts: Sequence[str]) -> list[Row | None]:
        """Of each text, in order; None where it is not kept."""
        rows: list[Row | None] = []
        key = _key_of(model, wanted)
        keys = map(key, texts[:MAX_TEXTS])
        dimension = wanted.dimensions or model.dimension
        began = time.perf_counter()
        while part := list(islice(keys, _LOOKUP_TEXTS)):
            found = await self._store.read(part)
            if found is None:
                break
            now_us = self._now_us()
            rows += [None if raw is None else _decode(raw, dimension, model.version, now_us) for raw in found]
        self._metrics.looked(EMBEDDINGS, time.perf_counter() - began)
        hits = sum(row is not None for row in rows)
        self._metrics.found(EMBEDDINGS, hits, len(rows) - hits)
        return rows + [None] * (len(texts) - len(rows))

    async def put_many(
        self, model: ModelRoute, wanted: Wanted, texts: Sequence[str], rows: Sequence[Row]
    ) -> None:
        if len(texts) > MAX_TEXTS:
            return
        now_us = self._now_us()
        key_by_version = {
            version: _key_of(model.of_version(version), wanted) for version in {row.version for row in rows}
        }
        for text, row in zip(texts, rows, strict=True):
            self._store.keep(key_by_version[row.version](text), Value(_encode(row, now_us), self._ttl_s))


def _key_of(model: ModelRoute, wanted: Wanted) -> Callable[[str], bytes]:
    """From a text to its key."""
    what = f"{wanted.purpose} {wanted.normalize} {wanted.dimensions} {wanted.long_texts}".encode()
    return lambda text: LASTING + text_digest(model, what, text)


def _encode(row: Row, now_us: int) -> bytes:
    tokens = -1 if row.tokens is None else row.tokens
    return _HEAD.pack(now_us, tokens, row.truncated, row.split) + row.vector.astype("<f4").tobytes()


def _decode(raw: bytes, dimension: int, version: str, now_us: int) -> Row | None:
    """None for what no row of this model can be."""
    if len(raw) != _HEAD.size + 4 * dimension:
        return None
    kept_at_us, tokens, truncated, split = _HEAD.unpack_from(raw)
    vector = np.frombuffer(raw, "<f4", offset=_HEAD.size)
    age_s = max(0.0, (now_us - kept_at_us) / 1e6)
    return Row(vector, None if tokens < 0 else tokens, truncated, split, version, age_s)
