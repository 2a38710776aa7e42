"""Models of upstream servers behind one gateway: is the load even, what does a killed server cost, and does
one model's trouble reach another?
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.cache.load import Client
from benchmarks.cache.upstream import DIMENSION, Upstream

REPLICATED: Final = "replicated"
_AT_ONCE: Final = 16
# After a server was killed: what is on its way to it is done by another.
_SETTLING_S: Final = 1.0

# Thirteen models: one that is watched, as quick as eight others, and four that are slow.
WATCHED: Final = "m00"
QUICK_S: Final = 0.02
SLOW_S: Final = 5.0
DELAYS_S: Final = {f"m{number:02}": SLOW_S if number > 8 else QUICK_S for number in range(13)}
_WATCHED_AT_ONCE: Final = 2
# More of a slow model than it takes at once, and a little of the quick ones: queues are full, cores are not.
_SLOW_AT_ONCE: Final = 100
_QUICK_AT_ONCE: Final = 1
_QUICK_PAUSE_S: Final = 0.2


def declarations(replicas: Sequence[Upstream], many: Upstream) -> list[dict[str, Any]]:
    """The models as ExternalModels."""
    first, *others = replicas
    alternatives = [{"url": other.url} for other in others]
    endpoint: dict[str, Any] = {"url": first.url, "protocol": "openai", "alternatives": alternatives}
    wanted = {REPLICATED: endpoint} | {name: {"url": many.url, "protocol": "openai"} for name in DELAYS_S}
    return [
        {
            "apiVersion": "vector.citadel-ai.com/v1alpha1",
            "kind": "ExternalModel",
            "metadata": {"name": name},
            "spec": {"dimensions": DIMENSION, "endpoint": endpoint},
        }
        for name, endpoint in wanted.items()
    ]


async def measure_failover(client: Client, replicas: Sequence[Upstream], seconds: float) -> dict[str, Any]:
    """Load for so long; the first server is killed in the middle."""
    texts = itertools.count()
    ends = time.perf_counter() + seconds

    def bodies() -> Iterator[dict[str, Any]]:
        while time.perf_counter() < ends:
            yield _body(next(texts))

    running = asyncio.ensure_future(client.all(f"/external/{REPLICATED}/embed", bodies(), _AT_ONCE))
    await asyncio.sleep(seconds / 2)
    before = [replica.count() for replica in replicas]
    replicas[0].kill()
    await asyncio.sleep(_SETTLING_S)
    settled = [replica.count() for replica in replicas[1:]]
    outcomes = await running
    after = [replica.count() - then for replica, then in zip(replicas[1:], settled, strict=True)]
    failed = [outcome for outcome in outcomes if outcome.status != 200]
    return {
        "part": "failover",
        "requests": len(outcomes),
        "failed": len(failed),
        "statuses": sorted({outcome.status for outcome in failed}),
        "before": before,
        "after": after,
        "spread": max(_spread(before), _spread(after)),
        "slowest_ms": 1e3 * max(outcome.seconds for outcome in outcomes),
    }


async def measure_isolation(client: Client, seconds: float) -> dict[str, Any]:
    """The watched model alone, and while the others are asked, four of them for more than they can do."""
    alone = await _watched(client, seconds)
    stop = asyncio.Event()
    others = [
        asyncio.ensure_future(_press(client, name, stop))
        for name, delay_s in DELAYS_S.items()
        for _ in range(_SLOW_AT_ONCE if delay_s == SLOW_S else _QUICK_AT_ONCE)
        if name != WATCHED
    ]
    await asyncio.sleep(1.0)
    together = await _watched(client, seconds)
    stop.set()
    refused = sum(await asyncio.gather(*others))
    return {
        "part": "isolation",
        "models": len(DELAYS_S),
        "alone_p50_ms": 1e3 * float(np.median(alone)),
        "together_p50_ms": 1e3 * float(np.median(together)),
        "together_p95_ms": 1e3 * float(np.quantile(together, 0.95)),
        "refused_of_others": refused,
    }


async def _watched(client: Client, seconds: float) -> list[float]:
    ends = time.perf_counter() + seconds
    bodies = itertools.takewhile(lambda _: time.perf_counter() < ends, map(_body, itertools.count()))
    outcomes = await client.all(f"/external/{WATCHED}/embed", bodies, _WATCHED_AT_ONCE)
    refused = {outcome.status for outcome in outcomes} - {200}
    assert not refused, refused
    return [outcome.seconds for outcome in outcomes]


async def _press(client: Client, model: str, stop: asyncio.Event) -> int:
    """Ask until `stop`; how often it was refused."""
    refused = 0
    while not stop.is_set():
        outcome = await client.post(f"/external/{model}/embed", _body(0), {"Cache-Control": "no-store"})
        refused += outcome.status != 200
        await asyncio.sleep(_QUICK_PAUSE_S)
    return refused


def _body(number: int) -> dict[str, Any]:
    # Texts that no cache has.
    return {"text": f"{time.perf_counter_ns()} {number}"}


def _spread(counts: Sequence[int]) -> float:
    """How far the busiest or the idlest is from an even share, in parts of that."""
    even = sum(counts) / len(counts)
    return max(abs(count - even) for count in counts) / even
