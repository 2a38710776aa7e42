"""Endpoints for tests of pools: what each address does, told by the test."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
)
from hanax.core.model_routes import Breaker, ModelEndpoint
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool

OPTIONS = PoolOptions(
    policy="round_robin",
    breaker=Breaker(failures=5, open_s=30.0),
    rate=None,
    max_attempts=None,
    attempt_timeout_s=None,
    hedge_after_s=None,
    max_inflight=64,
    max_waiting=64,
)
LONG_S = 30.0


def new_pool(count: int, options: PoolOptions = OPTIONS, clock: Callable[[], float] = time.monotonic) -> Pool:
    pool = Pool("m", options, clock, random.Random(7))
    pool.follow(endpoints(count), options)
    return pool


def endpoints(count: int) -> list[ModelEndpoint]:
    return [ModelEndpoint(address=f"e{number}") for number in range(count)]


class Servers:
    """What each address does: raises its error, never answers, or answers its name."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.errors: dict[str, HanaxError] = {}
        self.hanging: set[str] = set()

    async def attempt(self, address: str, timeout_s: float) -> str:
        self.calls[address] += 1
        self.running[address] += 1
        try:
            if address in self.hanging:
                await asyncio.sleep(timeout_s)
                raise DeadlineExceeded("no answer")
            await asyncio.sleep(0)
            if address in self.errors:
                raise self.errors[address]
            return address
        finally:
            self.running[address] -= 1


async def ask(pool: Pool, servers: Servers, within_s: float = LONG_S) -> str:
    return await pool.run(servers.attempt, time.monotonic() + within_s)


def states(pool: Pool) -> dict[str, str]:
    return {endpoint.address: endpoint.state for endpoint in pool.status()}
