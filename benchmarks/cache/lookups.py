"""Searches as people ask them, some often and most seldom, through a gateway whose cache is a real Redis."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import redis

from benchmarks.cache.load import Client
from benchmarks.processes import free_port

COLLECTION: Final = "bench"
POINTS: Final = 20_000
DIMENSION: Final = 384
# Distinct queries, the n-th asked in proportion to 1 / n ** SKEW.
QUERIES: Final = 2_000
SKEW: Final = 1.07
# More would wait for one another on the cores that all share, and a look-up with them.
AT_ONCE: Final = 1
_BATCH: Final = 500
_START_S: Final = 10.0


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Its URL. It keeps nothing on disk."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + _START_S
        while True:
            try:
                redis.Redis(port=port).ping()
                break
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > ends:
                    raise
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


async def measure(client: Client, searches: int) -> dict[str, Any]:
    """A look-up's time is what the gateway waited for its cache, be it a hit or not."""
    random = np.random.default_rng(5)
    await client.post("/api/v1/collections", {"name": COLLECTION, "dimension": DIMENSION})
    for first in range(0, POINTS, _BATCH):
        rows = random.standard_normal((_BATCH, DIMENSION)).round(4).tolist()
        points = [{"id": first + row, "vector": vector} for row, vector in enumerate(rows)]
        outcome = await client.post("/api/v1/vectors/insert", {"collection": COLLECTION, "vectors": points})
        assert outcome.status < 300, outcome
    queries = random.standard_normal((QUERIES, DIMENSION)).round(4).tolist()
    share = np.arange(1, QUERIES + 1) ** -SKEW
    asked = random.choice(QUERIES, searches, p=share / share.sum())
    bodies = ({"collection": COLLECTION, "vector": queries[number], "limit": 10} for number in asked)
    outcomes = await client.all("/api/v1/vectors/search", bodies, AT_ONCE)
    assert all(outcome.status == 200 for outcome in outcomes)
    lookups = np.array([outcome.timings_ms["cache"] for outcome in outcomes])
    seconds = {hit: [o.seconds for o in outcomes if o.cached is hit] for hit in (True, False)}
    return {
        "part": "lookups",
        "searches": searches,
        "distinct": len(set(asked.tolist())),
        "hit_rate": sum(outcome.cached for outcome in outcomes) / searches,
        "lookup_p50_ms": float(np.quantile(lookups, 0.5)),
        "lookup_p99_ms": float(np.quantile(lookups, 0.99)),
        "hit_p50_ms": 1e3 * float(np.median(seconds[True])),
        "miss_p50_ms": 1e3 * float(np.median(seconds[False])),
    }
