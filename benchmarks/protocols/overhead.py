"""What the SDK adds to a search: its time, less that of httpx for the same request to the same gateway.

Both wait for the same answer and turn about, so that the difference is the SDK's own work: the body made of
an array, the answer read into typed results.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import httpx

from benchmarks.index.datasets import K
from benchmarks.protocols.hanax_stack import COLLECTION, SEARCH_PATH, HanaxStack
from benchmarks.protocols.points import Points, numbers
from hxp_vector_client import VectorClient


def sdk_overhead(hanax: HanaxStack, points: Points, searches: int) -> dict[str, float]:
    """Milliseconds: of both, and the median difference of two that are next to one another."""
    queries = points.data.queries
    headers = {"Content-Type": "application/json"}
    with VectorClient(hanax.url) as client, httpx.Client(base_url=hanax.url) as plain:

        def by_sdk(number: int) -> None:
            found = client.search(COLLECTION, vector=queries[number], limit=K)
            assert len(found.hits) == K

        def by_httpx(number: int) -> None:
            plain.post(SEARCH_PATH, content=bodies[number], headers=headers).raise_for_status()

        bodies = [
            b'{"collection":"%s","vector":%s,"limit":%d}' % (COLLECTION.encode(), numbers(query), K)
            for query in queries
        ]
        sdk_s, plain_s = [], []
        for turn in range(searches):
            number = turn % len(queries)
            sdk_s.append(_timed(by_sdk, number))
            plain_s.append(_timed(by_httpx, number))
    differences = [one - other for one, other in zip(sdk_s, plain_s, strict=True)]
    return {
        "sdk_p50_ms": statistics.median(sdk_s) * 1e3,
        "httpx_p50_ms": statistics.median(plain_s) * 1e3,
        "overhead_ms": statistics.median(differences) * 1e3,
    }


def _timed(search: Callable[[int], None], number: int) -> float:
    began = time.perf_counter()
    search(number)
    return time.perf_counter() - began
