"""Requests over endpoints: shares, failover, retries, circuits, ejection, hedges, and their bounds."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from hanax.core.errors import (
    DataLoss,
    DeadlineExceeded,
    HanaxError,
    InvalidText,
    Overloaded,
    RateLimited,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.model_routes import Breaker, ModelEndpoint, RequestRate
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from tests.unit.gateway.balancing.waiting import everybody_ran, until

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


def _pool(count: int, options: PoolOptions = OPTIONS, clock: Callable[[], float] = time.monotonic) -> Pool:
    pool = Pool("m", options, clock, random.Random(7))
    pool.follow(_endpoints(count), options)
    return pool


def _endpoints(count: int) -> list[ModelEndpoint]:
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


async def _run(pool: Pool, servers: Servers, within_s: float = LONG_S) -> str:
    return await pool.run(servers.attempt, time.monotonic() + within_s)


def _states(pool: Pool) -> dict[str, str]:
    return {endpoint.address: endpoint.state for endpoint in pool.status()}


async def test_a_failure_is_tried_elsewhere_and_its_endpoint_left_alone() -> None:
    pool, servers = _pool(3), Servers()
    servers.errors["e1"] = Unavailable("refused")
    answers = [await _run(pool, servers) for _ in range(300)]
    assert set(answers) == {"e0", "e2"}
    assert servers.calls["e1"] == 5
    assert _states(pool) == {"e0": "closed", "e1": "open", "e2": "closed"}
    assert abs(servers.calls["e0"] - servers.calls["e2"]) <= 3
    failed = pool.status()[1].last_failure
    assert failed is not None
    assert (failed.code, failed.message) == ("unavailable", "refused")
    assert abs(failed.at - time.time()) < 30.0


async def test_all_at_once_survive_an_endpoint_that_dies() -> None:
    pool, servers = _pool(3, replace(OPTIONS, max_inflight=300)), Servers()
    for _ in range(50):
        await asyncio.gather(*(_run(pool, servers) for _ in range(20)))
    servers.errors["e0"] = Unavailable("reset")
    answers = await asyncio.gather(*(_run(pool, servers) for _ in range(300)))
    assert set(answers) == {"e1", "e2"}


async def test_a_request_that_is_wrong_is_not_sent_again_and_blames_nobody() -> None:
    pool, servers = _pool(2), Servers()
    servers.errors = {"e0": InvalidText("empty"), "e1": InvalidText("empty")}
    for _ in range(20):
        with pytest.raises(InvalidText):
            await _run(pool, servers)
    assert sum(servers.calls.values()) == 20
    assert _states(pool) == {"e0": "closed", "e1": "closed"}
    assert [endpoint.error_rate for endpoint in pool.status()] == [0.0, 0.0]


@pytest.mark.parametrize("error", [DataLoss("damaged"), UpstreamFailed("wrong key", retryable=False)])
async def test_what_is_there_to_stay_is_asked_of_each_endpoint_once(error: HanaxError) -> None:
    pool, servers = _pool(3), Servers()
    servers.errors = {"e0": error, "e1": error}
    for _ in range(4):
        assert await _run(pool, servers) == "e2"
    servers.errors["e2"] = error
    servers.calls.clear()
    with pytest.raises(type(error)):
        await _run(pool, servers)
    assert servers.calls == {"e0": 1, "e1": 1, "e2": 1}


async def test_asking_each_copy_once_takes_nothing_from_the_budget() -> None:
    """However long one copy stays damaged, its share of the requests is answered by the others."""
    pool, servers = _pool(3), Servers()
    servers.errors["e0"] = DataLoss("damaged")
    answers = [await _run(pool, servers) for _ in range(600)]
    assert set(answers) == {"e1", "e2"}
    assert servers.calls["e0"] > 0.2 * 600 + 20


async def test_attempts_are_bounded_by_number() -> None:
    options = replace(OPTIONS, max_attempts=3)
    pool, servers = _pool(1, options), Servers()
    servers.errors["e0"] = UpstreamFailed("500")
    with pytest.raises(UpstreamFailed):
        await _run(pool, servers)
    assert servers.calls["e0"] == 3


async def test_attempts_are_bounded_by_the_deadline() -> None:
    pool, servers = _pool(2), Servers()
    servers.errors = {"e0": Unavailable("refused"), "e1": Unavailable("refused")}
    with pytest.raises(Unavailable) as refused:
        await _run(pool, servers, 0.3)
    assert "refused" in refused.value.message
    # Whatever remains of it: pauses and circuits keep the number small.
    assert sum(servers.calls.values()) <= 10
    with pytest.raises(DeadlineExceeded):
        await _run(pool, servers, -1.0)


async def test_attempts_are_bounded_by_the_budget() -> None:
    """Under an outage of everybody, retries stay a fifth of the requests and a few."""
    options = replace(OPTIONS, breaker=Breaker(failures=1_000_000), max_attempts=2, max_inflight=10_000)
    clock = time.monotonic()
    pool, servers = _pool(2, options, lambda: clock), Servers()
    servers.errors = {"e0": Unavailable("refused"), "e1": Unavailable("refused")}
    requests = 1_000
    results = await asyncio.gather(
        *(pool.run(servers.attempt, clock + LONG_S) for _ in range(requests)), return_exceptions=True
    )
    assert all(isinstance(result, Unavailable) for result in results)
    assert requests < sum(servers.calls.values()) <= 1.2 * requests + 20
    assert sum(endpoint.retries for endpoint in pool.endpoints) == sum(servers.calls.values()) - requests


async def test_an_endpoint_that_hangs_costs_one_attempt() -> None:
    pool, servers = _pool(3, replace(OPTIONS, attempt_timeout_s=0.05)), Servers()
    servers.hanging.add("e0")
    answers = await asyncio.gather(*(_run(pool, servers) for _ in range(30)))
    assert set(answers) == {"e1", "e2"}
    assert _states(pool)["e0"] == "open"


async def test_a_caller_in_a_hurry_does_not_blame_the_endpoint() -> None:
    pool, servers = _pool(1), Servers()
    servers.hanging.add("e0")
    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            await _run(pool, servers, 0.005)
    assert _states(pool) == {"e0": "closed"}
    assert pool.endpoints[0].failures == 0


async def test_an_endpoint_that_rests_is_left_alone_and_the_others_asked() -> None:
    pool, servers = _pool(2), Servers()
    servers.errors["e0"] = RateLimited("slow down", retry_after_s=60.0)
    answers = [await _run(pool, servers) for _ in range(20)]
    assert set(answers) == {"e1"}
    assert servers.calls["e0"] == 1
    assert 50.0 < pool.status()[0].resting_s <= 60.0


async def test_when_all_rest_past_the_deadline_it_says_so_at_once() -> None:
    pool, servers = _pool(2), Servers()
    for address in ("e0", "e1"):
        servers.errors[address] = RateLimited("slow down", retry_after_s=60.0)
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            await _run(pool, servers)
        assert 50.0 < refused.value.details["retry_after_s"] <= 60.0
    assert sum(servers.calls.values()) == 2


async def test_a_rest_that_ends_in_time_is_waited_for() -> None:
    pool, servers = _pool(1), Servers()
    servers.errors["e0"] = Overloaded("full", retry_after_s=0.2)
    began = time.monotonic()
    running = asyncio.create_task(_run(pool, servers))
    await until(lambda: pool.status()[0].resting_s)
    servers.errors.clear()
    assert await running == "e0"
    assert time.monotonic() - began >= 0.2
    assert servers.calls["e0"] == 2


async def test_open_circuits_refuse_at_once_where_attempts_are_numbered() -> None:
    pool, servers = _pool(2, replace(OPTIONS, max_attempts=3, breaker=Breaker(failures=1))), Servers()
    servers.errors = {"e0": UpstreamFailed("500"), "e1": UpstreamFailed("500")}
    for _ in range(5):
        with pytest.raises(UpstreamFailed) as refused:
            await _run(pool, servers)
        assert 20.0 < refused.value.details["retry_after_s"] <= 30.0
    assert servers.calls == {"e0": 1, "e1": 1}


async def test_a_refusal_says_once_what_happened_and_of_whom_it_is() -> None:
    pool, servers = _pool(1, replace(OPTIONS, max_attempts=1, breaker=Breaker(failures=1))), Servers()
    servers.errors["e0"] = UpstreamFailed(
        "model 'm': e0 answered 401", model="m", endpoint="e0", retryable=False
    )
    with pytest.raises(UpstreamFailed, match=r"^model 'm': e0 answered 401$"):
        await _run(pool, servers)
    with pytest.raises(UpstreamFailed) as refused:
        await _run(pool, servers)
    assert refused.value.message == "model 'm': e0 answered 401; no endpoint takes requests now"
    assert refused.value.details.pop("retry_after_s") > 0
    assert refused.value.details == {"model": "m", "endpoint": "e0"}


async def test_who_could_not_reach_it_is_told_to_come_when_probes_have_looked() -> None:
    """Not when the circuit would let a request through: probes each second find it well long before."""
    pool, servers = _pool(1, replace(OPTIONS, max_attempts=3, breaker=Breaker(failures=1))), Servers()
    servers.errors = {"e0": Unavailable("does not take connections")}
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await _run(pool, servers)
        assert 1.0 <= refused.value.details["retry_after_s"] <= 5.0


async def test_an_endpoint_that_comes_back_is_waited_for_where_only_the_deadline_counts() -> None:
    """Many at once on the only endpoint: a trial, and then all of them."""
    pool, servers = _pool(1, replace(OPTIONS, breaker=Breaker(failures=2, open_s=0.05))), Servers()
    servers.errors["e0"] = Unavailable("restarting")
    running = [asyncio.create_task(_run(pool, servers)) for _ in range(50)]
    await until(lambda: pool.endpoints[0].circuit.opened >= 3)
    tried = servers.calls["e0"]
    # All met the failure once, and then there were trials only.
    assert tried <= 50 + 10
    servers.errors.clear()
    assert await asyncio.gather(*running) == ["e0"] * 50
    assert servers.calls["e0"] <= tried + 60


async def test_half_open_sends_one_trial_and_others_wait_for_its_end() -> None:
    pool, servers = _pool(1, replace(OPTIONS, breaker=Breaker(failures=1, open_s=0.05))), Servers()
    servers.errors["e0"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await _run(pool, servers, 0.01)
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
    assert _states(pool) == {"e0": "closed"}


async def test_a_trial_that_is_cancelled_hands_on() -> None:
    pool, servers = _pool(1, replace(OPTIONS, breaker=Breaker(failures=1, open_s=0.01))), Servers()
    servers.errors["e0"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await _run(pool, servers, 0.005)
    servers.errors.clear()
    servers.hanging.add("e0")
    trial = asyncio.create_task(_run(pool, servers))
    await until(lambda: servers.running["e0"])
    other = asyncio.create_task(_run(pool, servers))
    await everybody_ran()
    assert servers.running["e0"] == 1
    servers.hanging.clear()
    trial.cancel()
    assert await other == "e0"


async def _half_open_with_a_trial(servers: Servers, options: PoolOptions) -> tuple[Pool, asyncio.Task[str]]:
    """Of two endpoints e0 is half-open, and its trial hangs."""
    pool = _pool(2, replace(options, breaker=Breaker(failures=1, open_s=0.01)))
    servers.errors["e0"] = Unavailable("away")
    while not servers.calls["e0"]:
        await _run(pool, servers)
    del servers.errors["e0"]
    servers.hanging.add("e0")
    await until(lambda: _states(pool)["e0"] == "half_open")
    trials = [asyncio.create_task(_run(pool, servers, 600.0)) for _ in range(2)]
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
    running = asyncio.create_task(_run(pool, servers))
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
    running = asyncio.create_task(_run(pool, servers, 200.0))

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
    pool, servers = _pool(3, options), Servers()
    servers.errors["e0"] = Unavailable("refused")
    # With the first attempt both tokens are spent, so the retry waits for the next one.
    assert pool.turns.take_token_now()
    running = asyncio.create_task(_run(pool, servers))
    await until(lambda: pool.turns.waiting)
    assert servers.calls == {"e0": 1}
    for endpoint in pool.endpoints[1:]:
        endpoint.fail(Unavailable("refused"), endpoint.begin(0), time.monotonic())
    pool.follow([*_endpoints(left), ModelEndpoint(address="new")], options)
    assert await running == "new"
    assert servers.calls == {"e0": 1, "new": 1}
    assert sum(endpoint.retries for endpoint in pool.endpoints) == 1


async def test_a_probe_that_is_answered_ends_an_open_circuit() -> None:
    pool, servers = _pool(1), Servers()
    servers.errors["e0"] = Unavailable("away")
    waiting = asyncio.create_task(_run(pool, servers))
    await until(lambda: _states(pool)["e0"] == "open")

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

    pool, servers = _pool(1, replace(OPTIONS, max_attempts=5)), Servers()
    servers.errors["e0"] = UpstreamFailed("500")
    with pytest.raises(UpstreamFailed):
        await _run(pool, servers)
    assert pool.suspects
    await pool.probe_with(answered)
    assert _states(pool) == {"e0": "open"}
    # Probes that failed and are answered again do.
    await pool.probe_with(failing)
    await pool.probe_with(answered)
    assert _states(pool) == {"e0": "half_open"}
    assert not pool.suspects


async def test_one_that_rests_is_not_probed() -> None:
    pool, servers = _pool(2), Servers()
    servers.errors["e0"] = RateLimited("slow down", retry_after_s=60.0)
    for _ in range(2):
        await _run(pool, servers)
    probed: list[str] = []

    async def probe(address: str, timeout_s: float) -> None:
        probed.append(address)

    await pool.probe_with(probe)
    assert probed == ["e1"]


async def test_failed_probes_eject_at_most_half_and_none_that_is_alone() -> None:
    async def failing(address: str, timeout_s: float) -> None:
        raise Unavailable("not ready")

    for count, ejected in ((1, 0), (2, 1), (3, 1), (4, 2), (9, 4)):
        pool, servers = _pool(count), Servers()
        for _ in range(4):
            await pool.probe_with(failing)
        assert list(_states(pool).values()).count("ejected") == ejected
        answers = {await _run(pool, servers) for _ in range(4 * count)}
        assert len(answers) == count - ejected


async def test_ejected_ones_are_asked_when_nobody_else_may_be() -> None:
    async def only_second(address: str, timeout_s: float) -> None:
        if address == "e0":
            raise Unavailable("not ready")

    pool, servers = _pool(2), Servers()
    for _ in range(2):
        await pool.probe_with(only_second)
    assert _states(pool) == {"e0": "ejected", "e1": "closed"}
    servers.errors["e1"] = Unavailable("refused")
    assert [await _run(pool, servers) for _ in range(10)] == ["e0"] * 10


async def test_one_that_fails_most_requests_is_ejected_though_never_many_in_a_row() -> None:
    pool, servers = _pool(3), Servers()
    sometimes = random.Random(3)

    async def attempt(address: str, timeout_s: float) -> str:
        servers.calls[address] += 1
        if address == "e0" and (servers.calls[address] % 4 or sometimes.random() < 0.1):
            raise UpstreamFailed("500")
        return address

    answers = [await pool.run(attempt, time.monotonic() + LONG_S) for _ in range(300)]
    assert len(answers) == 300
    assert _states(pool)["e0"] == "ejected"
    assert servers.calls["e0"] < 40


async def test_endpoints_that_stay_keep_what_is_known_of_them() -> None:
    pool, servers = _pool(3), Servers()
    servers.errors["e0"] = Unavailable("refused")
    for _ in range(30):
        await _run(pool, servers)
    kept = pool.endpoints[1]
    more = [*_endpoints(2), ModelEndpoint(address="new", weight=2.0)]
    pool.follow(more, replace(OPTIONS, policy="weighted"))
    assert _states(pool) == {"e0": "open", "e1": "closed", "new": "closed"}
    assert pool.endpoints[1] is kept
    assert {await _run(pool, servers) for _ in range(10)} == {"e1", "new"}
    pool.follow([], OPTIONS)
    with pytest.raises(Unavailable):
        await _run(pool, servers)


async def test_only_those_named_are_asked() -> None:
    pool, servers = _pool(4), Servers()
    servers.errors["e1"] = Unavailable("refused")
    deadline = time.monotonic() + LONG_S
    answers = [await pool.run(servers.attempt, deadline, among=("e1", "e3")) for _ in range(40)]
    assert set(answers) == {"e3"}
    assert set(servers.calls) == {"e1", "e3"}


async def test_a_request_that_takes_long_is_asked_a_second_time_and_the_first_answer_counts() -> None:
    pool, servers = _pool(2, replace(OPTIONS, hedge_after_s=0.02)), Servers()
    servers.hanging.add("e0")
    answers = [await _run(pool, servers) for _ in range(6)]
    assert answers == ["e1"] * 6
    # Those that lost were cancelled, and blamed nobody.
    assert servers.running["e0"] == 0
    assert [endpoint.inflight for endpoint in pool.endpoints] == [0, 0]
    assert pool.endpoints[1].hedges > 0
    assert pool.endpoints[0].failures == 0


async def test_the_first_error_of_a_hedge_does_not_end_it() -> None:
    pool = _pool(2, replace(OPTIONS, hedge_after_s=0.01))
    asked: list[str] = []
    hedged = asyncio.Event()

    async def attempt(address: str, timeout_s: float) -> str:
        asked.append(address)
        if len(asked) == 1:
            await hedged.wait()
            await asyncio.sleep(0.01)
            return address
        hedged.set()
        raise UpstreamFailed("500")

    answer = await pool.run(attempt, time.monotonic() + LONG_S)
    assert answer == asked[0]
    assert len(asked) == 2


@pytest.mark.parametrize("hedge_after_s", [None, 0.001])
async def test_a_cancelled_request_leaves_nothing_behind(hedge_after_s: float | None) -> None:
    pool, servers = _pool(2, replace(OPTIONS, hedge_after_s=hedge_after_s)), Servers()
    servers.hanging = {"e0", "e1"}
    running = [asyncio.create_task(_run(pool, servers)) for _ in range(10)]
    await until(lambda: servers.running["e1"])
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert sum(servers.running.values()) == 0
    assert [endpoint.inflight for endpoint in pool.endpoints] == [0, 0]
    assert pool.turns.inflight == 0


async def test_so_many_run_and_wait_and_the_others_are_refused() -> None:
    pool, servers = _pool(2, replace(OPTIONS, max_inflight=3, max_waiting=4)), Servers()
    servers.hanging = {"e0", "e1"}
    running = [asyncio.create_task(_run(pool, servers)) for _ in range(7)]
    await until(lambda: pool.turns.waiting == 4)
    with pytest.raises(Overloaded) as refused:
        await _run(pool, servers)
    assert refused.value.details["retry_after_s"] > 0
    assert sum(servers.running.values()) == 3
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    servers.hanging.clear()
    await _run(pool, servers)


async def test_a_defect_of_an_attempt_is_nobodys_failure() -> None:
    async def broken(address: str, timeout_s: float) -> str:
        raise ZeroDivisionError

    pool = _pool(1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(broken, time.monotonic() + LONG_S)
    assert pool.endpoints[0].inflight == pool.endpoints[0].failures == 0
    assert pool.turns.inflight == 0
