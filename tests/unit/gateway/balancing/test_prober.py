"""Rounds of probes go on until they are ended, whatever a probe does."""

from __future__ import annotations

import asyncio
import random
import time

from hanax.core.errors import Unavailable
from hanax.core.model_routes import Breaker, ModelEndpoint
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.balancing.prober import Prober
from tests.unit.gateway.balancing.waiting import everybody_ran, until

OPTIONS = PoolOptions("round_robin", Breaker(failures=1), None, None, None, None, 8, 8)


def _pool() -> Pool:
    pool = Pool("m", OPTIONS, time.monotonic, random.Random(1))
    pool.follow([ModelEndpoint(address="e0"), ModelEndpoint(address="e1")], OPTIONS)
    return pool


async def test_an_endpoint_that_is_away_is_ejected_and_comes_back() -> None:
    pool = _pool()
    away = True

    async def probe(address: str, timeout_s: float) -> None:
        if away and address == "e0":
            raise Unavailable("away")

    prober = Prober(pool, probe, random.Random(1))
    prober.start()
    prober.start()
    await until(lambda: pool.status()[0].state == "ejected")
    away = False
    await until(lambda: pool.status()[0].state == "closed")
    prober.close()


async def test_a_broken_probe_ends_no_rounds_and_closing_ends_all() -> None:
    pool = _pool()
    rounds = 0

    async def probe(address: str, timeout_s: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            # Suspected, so that the next round is soon.
            raise Unavailable("away")
        raise ZeroDivisionError

    prober = Prober(pool, probe, random.Random(1))
    prober.start()
    await until(lambda: rounds >= 6)
    prober.close()
    await everybody_ran()
    assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
