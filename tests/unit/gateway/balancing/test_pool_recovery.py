"""Endpoints that come back: half-open circuits, rests that end, probes, ejection."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace

import pytest

from hanax.core.errors import (
    RateLimited,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.model_routes import Breaker, ModelEndpoint, RequestRate
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from tests.unit.gateway.balancing.clocks import Clock
from tests.unit.gateway.balancing.servers import LONG_S, OPTIONS, Servers, ask, endpoints, new_pool, states
from tests.unit.gateway.balancing.waiting import everybody_ran, until

HEDGE_S = 0.05


async def test_an_endpoint_that_comes_back_is_waited_for_where_only_the_deadline_counts() -> None:
    """Many at once on the only endpoint: a trial, and then all of them."""
    pool, servers = new_pool(1, replace(OPTIONS, breaker=Breaker(failures=2, open_s=0.05))), Servers()
    servers.errors["e0"] = Unavailable("restarting")
    running = [asyncio.create_task(ask(pool, servers)) for _ in range(50)]
    await until(lambda: pool.endpoints[0].circuit.opened >= 3)
    tried = servers.calls["e0"]
    # All met the failure once, and then there were trials only.
    assert tried <= 50 + 10
    servers.errors.clear()
    assert await asyncio.gather(*running) == ["e0"] * 50
    assert servers.calls["e0"] <= tried + 60


@pytest.mark.parametrize("hedge_after_s", [None, LONG_S])
async def test_half_open_sends_one_trial_and_others_wait_for_its_end(hedge_after_s: float | None) -> None:
    options = replace(OPTIONS, breaker=Breaker(failures=1, open_s=0.05), hedge_after_s=hedge_after_s)
    pool, servers = new_pool(1, options), Servers()
    servers.errors["e0"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await ask(pool, servers, 0.01)
    servers.errors.clear()
    servers.calls.clear()
    release = asyncio.Event()

    async def attempt(address: str, timeout_s: float) -> str:
        servers.calls[address] += 1
        await release.wait()
        return address

    running = [asyncio.create_task(pool.run(attempt, time.monotonic() + LONG_S)) for _ in range(10)]
    await until(lambda: servers.calls["e0"])
    await everybody_ran()
    assert servers.calls["e0"] == 1
    release.set()
    await asyncio.gather(*running)
    assert states(pool) == {"e0": "closed"}


async def test_hedges_that_come_at_once_make_one_trial() -> None:
    """Requests that wait for an endpoint that hangs, when another one's circuit becomes half-open."""
    clock = Clock()
    options = replace(OPTIONS, breaker=Breaker(failures=1, open_s=30.0), hedge_after_s=HEDGE_S)
    pool, servers = new_pool(2, options, clock), Servers()
    servers.errors["e0"] = Unavailable("away")
    assert await pool.run(servers.attempt, clock() + LONG_S) == "e1"
    release = asyncio.Event()

    async def attempt(address: str, timeout_s: float) -> str:
        servers.calls[address] += 1
        if address == "e1":
            # From now on e0 may be tried, by those who wait here: all from the same moment.
            clock.advance(30.0)
        await release.wait()
        return address

    servers.calls.clear()
    running = [asyncio.create_task(pool.run(attempt, clock() + 1_000.0)) for _ in range(5)]
    await until(lambda: servers.calls["e1"] == 5)
    # Set after theirs, this timer ends after all of theirs.
    await asyncio.sleep(HEDGE_S)
    await everybody_ran()
    assert servers.calls["e0"] == 1
    release.set()
    await asyncio.gather(*running)
    assert states(pool) == {"e0": "closed", "e1": "closed"}
    assert [endpoint.inflight for endpoint in pool.endpoints] == [0, 0]


async def test_a_trial_that_is_cancelled_hands_on() -> None:
    pool, servers = new_pool(1, replace(OPTIONS, breaker=Breaker(failures=1, open_s=0.01))), Servers()
    servers.errors["e0"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await ask(pool, servers, 0.005)
    servers.errors.clear()
    servers.hanging.add("e0")
    trial = asyncio.create_task(ask(pool, servers))
    await until(lambda: servers.running["e0"])
    other = asyncio.create_task(ask(pool, servers))
    await everybody_ran()
    assert servers.running["e0"] == 1
    servers.hanging.clear()
    trial.cancel()
    assert await other == "e0"


async def _half_open_with_a_trial(servers: Servers, options: PoolOptions) -> tuple[Pool, asyncio.Task[str]]:
    """Of two endpoints e0 is half-open, and its trial hangs."""
    pool = new_pool(2, replace(options, breaker=Breaker(failures=1, open_s=0.01)))
    servers.errors["e0"] = Unavailable("away")
    while not servers.calls["e0"]:
        await ask(pool, servers)
    del servers.errors["e0"]
    servers.hanging.add("e0")
    await until(lambda: states(pool)["e0"] == "half_open")
    trials = [asyncio.create_task(ask(pool, servers, 600.0)) for _ in range(2)]
    await until(lambda: servers.running["e0"])
    await until(lambda: any(trial.done() for trial in trials))
    return pool, next(trial for trial in trials if not trial.done())


@pytest.mark.parametrize("max_attempts", [4, None])
async def test_a_trial_that_hangs_keeps_nobody_from_an_endpoint_whose_rest_ends(
    max_attempts: int | None,
) -> None:
    servers = Servers()
    pool, trial = await _half_open_with_a_trial(servers, replace(OPTIONS, max_attempts=max_attempts))
    servers.errors["e1"] = RateLimited("slow down", retry_after_s=0.2)
    running = asyncio.create_task(ask(pool, servers))
    await until(lambda: pool.status()[1].resting_s)
    servers.errors.clear()
    assert await running == "e1"
    assert not trial.done()
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)


async def test_numbered_attempts_wait_a_few_seconds_for_a_trial_however_often_they_look() -> None:
    servers = Servers()
    pool, trial = await _half_open_with_a_trial(servers, replace(OPTIONS, max_attempts=4))
    servers.errors["e1"] = RateLimited("slow down", retry_after_s=600.0)
    running = asyncio.create_task(ask(pool, servers, 200.0))

    async def failing(address: str, timeout_s: float) -> None:
        raise Unavailable("away")

    async with asyncio.timeout(60.0):
        while not running.done():
            # All who wait look again at the end of a round.
            await pool.probe_with(failing)
            await asyncio.sleep(0.05)
    assert isinstance(running.exception(), RateLimited)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)


@pytest.mark.parametrize("left", [1, 3])
async def test_a_retry_that_waited_for_its_token_is_not_sent_where_nobody_may_be_asked_by_then(
    left: int,
) -> None:
    """Its endpoint's circuit opened meanwhile, or it left: another is asked, with the same token."""
    options = replace(OPTIONS, breaker=Breaker(failures=1), rate=RequestRate(per_s=1.0, burst=2))
    pool, servers = new_pool(3, options), Servers()
    servers.errors["e0"] = Unavailable("refused")
    # With the first attempt both tokens are spent, so the retry waits for the next one.
    assert pool.turns.take_token_now()
    running = asyncio.create_task(ask(pool, servers))
    await until(lambda: pool.turns.waiting)
    assert servers.calls == {"e0": 1}
    for endpoint in pool.endpoints[1:]:
        endpoint.fail(Unavailable("refused"), endpoint.begin(0), time.monotonic())
    pool.follow([*endpoints(left), ModelEndpoint(address="new")], options)
    assert await running == "new"
    assert servers.calls == {"e0": 1, "new": 1}
    assert sum(endpoint.retries for endpoint in pool.endpoints) == 1


async def test_a_probe_that_is_answered_ends_an_open_circuit() -> None:
    pool, servers = new_pool(1), Servers()
    servers.errors["e0"] = Unavailable("away")
    waiting = asyncio.create_task(ask(pool, servers))
    await until(lambda: states(pool)["e0"] == "open")

    async def answered(address: str, timeout_s: float) -> None:
        await asyncio.sleep(0)

    servers.errors.clear()
    await pool.probe_with(answered)
    assert await waiting == "e0"
    checked = pool.status()[0].checked_at
    assert checked is not None
    assert abs(checked - time.time()) < 30.0


async def test_a_probe_says_nothing_for_one_that_fails_requests_while_it_answers_probes() -> None:
    async def answered(address: str, timeout_s: float) -> None:
        await asyncio.sleep(0)

    async def failing(address: str, timeout_s: float) -> None:
        raise Unavailable("away")

    pool, servers = new_pool(1, replace(OPTIONS, max_attempts=5)), Servers()
    servers.errors["e0"] = UpstreamFailed("500")
    with pytest.raises(UpstreamFailed):
        await ask(pool, servers)
    assert pool.suspects
    await pool.probe_with(answered)
    assert states(pool) == {"e0": "open"}
    # Probes that failed and are answered again do.
    await pool.probe_with(failing)
    await pool.probe_with(answered)
    assert states(pool) == {"e0": "half_open"}
    assert not pool.suspects


async def test_one_that_rests_is_not_probed() -> None:
    pool, servers = new_pool(2), Servers()
    servers.errors["e0"] = RateLimited("slow down", retry_after_s=60.0)
    for _ in range(2):
        await ask(pool, servers)
    probed: list[str] = []

    async def probe(address: str, timeout_s: float) -> None:
        probed.append(address)

    await pool.probe_with(probe)
    assert probed == ["e1"]


async def test_failed_probes_eject_at_most_half_and_none_that_is_alone() -> None:
    async def failing(address: str, timeout_s: float) -> None:
        raise Unavailable("not ready")

    for count, ejected in ((1, 0), (2, 1), (3, 1), (4, 2), (9, 4)):
        pool, servers = new_pool(count), Servers()
        for _ in range(4):
            await pool.probe_with(failing)
        assert list(states(pool).values()).count("ejected") == ejected
        answers = {await ask(pool, servers) for _ in range(4 * count)}
        assert len(answers) == count - ejected


async def test_ejected_ones_are_asked_when_nobody_else_may_be() -> None:
    async def only_second(address: str, timeout_s: float) -> None:
        if address == "e0":
            raise Unavailable("not ready")

    pool, servers = new_pool(2), Servers()
    for _ in range(2):
        await pool.probe_with(only_second)
    assert states(pool) == {"e0": "ejected", "e1": "closed"}
    servers.errors["e1"] = Unavailable("refused")
    assert [await ask(pool, servers) for _ in range(10)] == ["e0"] * 10


async def test_one_that_fails_most_requests_is_ejected_though_never_many_in_a_row() -> None:
    pool, servers = new_pool(3), Servers()
    sometimes = random.Random(3)

    async def attempt(address: str, timeout_s: float) -> str:
        servers.calls[address] += 1
        if address == "e0" and (servers.calls[address] % 4 or sometimes.random() < 0.1):
            raise UpstreamFailed("500")
        return address

    answers = [await pool.run(attempt, time.monotonic() + LONG_S) for _ in range(300)]
    assert len(answers) == 300
    assert states(pool)["e0"] == "ejected"
    assert servers.calls["e0"] < 40
