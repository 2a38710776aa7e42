"""Requests over endpoints: shares, failover, retries, hedges, and their bounds."""

from __future__ import annotations

import asyncio
import time
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
from hanax.core.model_routes import Breaker, ModelEndpoint
from tests.unit.gateway.balancing.servers import LONG_S, OPTIONS, Servers, ask, endpoints, new_pool, states
from tests.unit.gateway.balancing.waiting import until


async def test_a_failure_is_tried_elsewhere_and_its_endpoint_left_alone() -> None:
    pool, servers = new_pool(3), Servers()
    servers.errors["e1"] = Unavailable("refused")
    answers = [await ask(pool, servers) for _ in range(300)]
    assert set(answers) == {"e0", "e2"}
    assert servers.calls["e1"] == 5
    assert states(pool) == {"e0": "closed", "e1": "open", "e2": "closed"}
    assert abs(servers.calls["e0"] - servers.calls["e2"]) <= 3
    failed = pool.status()[1].last_failure
    assert failed is not None
    assert (failed.code, failed.message) == ("unavailable", "refused")
    assert abs(failed.at - time.time()) < 30.0


async def test_all_at_once_survive_an_endpoint_that_dies() -> None:
    pool, servers = new_pool(3, replace(OPTIONS, max_inflight=300)), Servers()
    for _ in range(50):
        await asyncio.gather(*(ask(pool, servers) for _ in range(20)))
    servers.errors["e0"] = Unavailable("reset")
    answers = await asyncio.gather(*(ask(pool, servers) for _ in range(300)))
    assert set(answers) == {"e1", "e2"}


async def test_a_request_that_is_wrong_is_not_sent_again_and_blames_nobody() -> None:
    pool, servers = new_pool(2), Servers()
    servers.errors = {"e0": InvalidText("empty"), "e1": InvalidText("empty")}
    for _ in range(20):
        with pytest.raises(InvalidText):
            await ask(pool, servers)
    assert sum(servers.calls.values()) == 20
    assert states(pool) == {"e0": "closed", "e1": "closed"}
    assert [endpoint.error_rate for endpoint in pool.status()] == [0.0, 0.0]


@pytest.mark.parametrize("error", [DataLoss("damaged"), UpstreamFailed("wrong key", retryable=False)])
async def test_what_is_there_to_stay_is_asked_of_each_endpoint_once(error: HanaxError) -> None:
    pool, servers = new_pool(3), Servers()
    servers.errors = {"e0": error, "e1": error}
    for _ in range(4):
        assert await ask(pool, servers) == "e2"
    servers.errors["e2"] = error
    servers.calls.clear()
    with pytest.raises(type(error)):
        await ask(pool, servers)
    assert servers.calls == {"e0": 1, "e1": 1, "e2": 1}


async def test_asking_each_copy_once_takes_nothing_from_the_budget() -> None:
    """However long one copy stays damaged, its share of the requests is answered by the others."""
    pool, servers = new_pool(3), Servers()
    servers.errors["e0"] = DataLoss("damaged")
    answers = [await ask(pool, servers) for _ in range(600)]
    assert set(answers) == {"e1", "e2"}
    assert servers.calls["e0"] > 0.2 * 600 + 20


async def test_attempts_are_bounded_by_number() -> None:
    options = replace(OPTIONS, max_attempts=3)
    pool, servers = new_pool(1, options), Servers()
    servers.errors["e0"] = UpstreamFailed("500")
    with pytest.raises(UpstreamFailed):
        await ask(pool, servers)
    assert servers.calls["e0"] == 3


async def test_attempts_are_bounded_by_the_deadline() -> None:
    pool, servers = new_pool(2), Servers()
    servers.errors = {"e0": Unavailable("refused"), "e1": Unavailable("refused")}
    with pytest.raises(Unavailable) as refused:
        await ask(pool, servers, 0.3)
    assert "refused" in refused.value.message
    # Whatever remains of it: pauses and circuits keep the number small.
    assert sum(servers.calls.values()) <= 10
    with pytest.raises(DeadlineExceeded):
        await ask(pool, servers, -1.0)


async def test_attempts_are_bounded_by_the_budget() -> None:
    """Under an outage of everybody, retries stay a fifth of the requests and a few."""
    options = replace(OPTIONS, breaker=Breaker(failures=1_000_000), max_attempts=2, max_inflight=10_000)
    clock = time.monotonic()
    pool, servers = new_pool(2, options, lambda: clock), Servers()
    servers.errors = {"e0": Unavailable("refused"), "e1": Unavailable("refused")}
    requests = 1_000
    results = await asyncio.gather(
        *(pool.run(servers.attempt, clock + LONG_S) for _ in range(requests)), return_exceptions=True
    )
    assert all(isinstance(result, Unavailable) for result in results)
    assert requests < sum(servers.calls.values()) <= 1.2 * requests + 20
    assert sum(endpoint.retries for endpoint in pool.endpoints) == sum(servers.calls.values()) - requests


async def test_an_endpoint_that_hangs_costs_one_attempt() -> None:
    pool, servers = new_pool(3, replace(OPTIONS, attempt_timeout_s=0.05)), Servers()
    servers.hanging.add("e0")
    answers = await asyncio.gather(*(ask(pool, servers) for _ in range(30)))
    assert set(answers) == {"e1", "e2"}
    assert states(pool)["e0"] == "open"


async def test_a_caller_in_a_hurry_does_not_blame_the_endpoint() -> None:
    pool, servers = new_pool(1), Servers()
    servers.hanging.add("e0")
    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            await ask(pool, servers, 0.005)
    assert states(pool) == {"e0": "closed"}
    assert pool.endpoints[0].failures == 0


async def test_an_endpoint_that_rests_is_left_alone_and_the_others_asked() -> None:
    pool, servers = new_pool(2), Servers()
    servers.errors["e0"] = RateLimited("slow down", retry_after_s=60.0)
    answers = [await ask(pool, servers) for _ in range(20)]
    assert set(answers) == {"e1"}
    assert servers.calls["e0"] == 1
    assert 50.0 < pool.status()[0].resting_s <= 60.0


async def test_when_all_rest_past_the_deadline_it_says_so_at_once() -> None:
    pool, servers = new_pool(2), Servers()
    for address in ("e0", "e1"):
        servers.errors[address] = RateLimited("slow down", retry_after_s=60.0)
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            await ask(pool, servers)
        assert 50.0 < refused.value.details["retry_after_s"] <= 60.0
    assert sum(servers.calls.values()) == 2


async def test_a_rest_that_ends_in_time_is_waited_for() -> None:
    pool, servers = new_pool(1), Servers()
    servers.errors["e0"] = Overloaded("full", retry_after_s=0.2)
    began = time.monotonic()
    running = asyncio.create_task(ask(pool, servers))
    await until(lambda: pool.status()[0].resting_s)
    servers.errors.clear()
    assert await running == "e0"
    assert time.monotonic() - began >= 0.2
    assert servers.calls["e0"] == 2


async def test_open_circuits_refuse_at_once_where_attempts_are_numbered() -> None:
    pool, servers = new_pool(2, replace(OPTIONS, max_attempts=3, breaker=Breaker(failures=1))), Servers()
    servers.errors = {"e0": UpstreamFailed("500"), "e1": UpstreamFailed("500")}
    for _ in range(5):
        with pytest.raises(UpstreamFailed) as refused:
            await ask(pool, servers)
        assert 20.0 < refused.value.details["retry_after_s"] <= 30.0
    assert servers.calls == {"e0": 1, "e1": 1}


async def test_a_refusal_says_once_what_happened_and_of_whom_it_is() -> None:
    pool, servers = new_pool(1, replace(OPTIONS, max_attempts=1, breaker=Breaker(failures=1))), Servers()
    servers.errors["e0"] = UpstreamFailed(
        "model 'm': e0 answered 401", model="m", endpoint="e0", retryable=False
    )
    with pytest.raises(UpstreamFailed, match=r"^model 'm': e0 answered 401$"):
        await ask(pool, servers)
    with pytest.raises(UpstreamFailed) as refused:
        await ask(pool, servers)
    assert refused.value.message == "model 'm': e0 answered 401; no endpoint takes requests now"
    assert refused.value.details.pop("retry_after_s") > 0
    assert refused.value.details == {"model": "m", "endpoint": "e0"}


async def test_who_could_not_reach_it_is_told_to_come_when_probes_have_looked() -> None:
    """Not when the circuit would let a request through: probes each second find it well long before."""
    pool, servers = new_pool(1, replace(OPTIONS, max_attempts=3, breaker=Breaker(failures=1))), Servers()
    servers.errors = {"e0": Unavailable("does not take connections")}
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await ask(pool, servers)
        assert 1.0 <= refused.value.details["retry_after_s"] <= 5.0


async def test_endpoints_that_stay_keep_what_is_known_of_them() -> None:
    pool, servers = new_pool(3), Servers()
    servers.errors["e0"] = Unavailable("refused")
    for _ in range(30):
        await ask(pool, servers)
    kept = pool.endpoints[1]
    more = [*endpoints(2), ModelEndpoint(address="new", weight=2.0)]
    pool.follow(more, replace(OPTIONS, policy="weighted"))
    assert states(pool) == {"e0": "open", "e1": "closed", "new": "closed"}
    assert pool.endpoints[1] is kept
    assert {await ask(pool, servers) for _ in range(10)} == {"e1", "new"}
    pool.follow([], OPTIONS)
    with pytest.raises(Unavailable):
        await ask(pool, servers)


async def test_only_those_named_are_asked() -> None:
    pool, servers = new_pool(4), Servers()
    servers.errors["e1"] = Unavailable("refused")
    deadline = time.monotonic() + LONG_S
    answers = [await pool.run(servers.attempt, deadline, among=("e1", "e3")) for _ in range(40)]
    assert set(answers) == {"e3"}
    assert set(servers.calls) == {"e1", "e3"}


async def test_a_request_that_takes_long_is_asked_a_second_time_and_the_first_answer_counts() -> None:
    pool, servers = new_pool(2, replace(OPTIONS, hedge_after_s=0.02)), Servers()
    servers.hanging.add("e0")
    answers = [await ask(pool, servers) for _ in range(6)]
    assert answers == ["e1"] * 6
    # Those that lost were cancelled, and blamed nobody.
    assert servers.running["e0"] == 0
    assert [endpoint.inflight for endpoint in pool.endpoints] == [0, 0]
    assert pool.endpoints[1].hedges > 0
    assert pool.endpoints[0].failures == 0


async def test_the_first_error_of_a_hedge_does_not_end_it() -> None:
    pool = new_pool(2, replace(OPTIONS, hedge_after_s=0.01))
    asked: list[str] = []
    hedged = asyncio.Event()

    async def attempt(address: str, timeout_s: float) -> str:
        asked.append(address)
        if len(asked) == 1:
            await hedged.wait()
            await until(lambda: any(endpoint.failures for endpoint in pool.endpoints))
            return address
        hedged.set()
        raise UpstreamFailed("500")

    answer = await pool.run(attempt, time.monotonic() + LONG_S)
    assert answer == asked[0]
    assert len(asked) == 2


@pytest.mark.parametrize("hedge_after_s", [None, 0.001])
async def test_a_cancelled_request_leaves_nothing_behind(hedge_after_s: float | None) -> None:
    pool, servers = new_pool(2, replace(OPTIONS, hedge_after_s=hedge_after_s)), Servers()
    servers.hanging = {"e0", "e1"}
    running = [asyncio.create_task(ask(pool, servers)) for _ in range(10)]
    await until(lambda: servers.running["e1"])
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert sum(servers.running.values()) == 0
    assert [endpoint.inflight for endpoint in pool.endpoints] == [0, 0]
    assert pool.turns.inflight == 0


async def test_so_many_run_and_wait_and_the_others_are_refused() -> None:
    pool, servers = new_pool(2, replace(OPTIONS, max_inflight=3, max_waiting=4)), Servers()
    servers.hanging = {"e0", "e1"}
    running = [asyncio.create_task(ask(pool, servers)) for _ in range(7)]
    await until(lambda: pool.turns.waiting == 4)
    with pytest.raises(Overloaded) as refused:
        await ask(pool, servers)
    assert refused.value.details["retry_after_s"] > 0
    assert sum(servers.running.values()) == 3
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    servers.hanging.clear()
    await ask(pool, servers)


async def test_a_defect_of_an_attempt_is_nobodys_failure() -> None:
    async def broken(address: str, timeout_s: float) -> str:
        raise ZeroDivisionError

    pool = new_pool(1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(broken, time.monotonic() + LONG_S)
    assert pool.endpoints[0].inflight == pool.endpoints[0].failures == 0
    assert pool.turns.inflight == 0
