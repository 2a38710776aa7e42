"""Who goes when: so many at once, so many a second, urgent ones first, a bounded line."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from hanax.core.errors import DeadlineExceeded, Overloaded, RateLimited
from hanax.core.model_routes import Breaker, RequestRate
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.turns import Turns
from tests.unit.gateway.balancing.clocks import Clock


def _options(inflight: int, waiting: int, rate: RequestRate | None = None) -> PoolOptions:
    return PoolOptions(
        policy="round_robin",
        breaker=Breaker(),
        rate=rate,
        max_attempts=None,
        attempt_timeout_s=None,
        hedge_after_s=None,
        max_inflight=inflight,
        max_waiting=waiting,
    )


def _turns(inflight: int, waiting: int, rate: RequestRate | None = None) -> Turns:
    return Turns("m", _options(inflight, waiting, rate), time.monotonic)


def _later() -> float:
    return time.monotonic() + 30.0


class Line:
    """Requests that wait, and the order in which they got their turn."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []

    async def join(self, name: str, urgent: bool = False) -> asyncio.Task[None]:
        async def wait() -> None:
            await self.turns.take(_later(), urgent)
            self.order.append(name)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        return task

    async def serve(self) -> None:
        """End one turn, and let whoever got it run."""
        self.turns.give_back()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_so_many_at_once_and_then_in_the_order_they_came() -> None:
    turns = _turns(2, 10)
    assert [turns.take_now() for _ in range(3)] == [True, True, False]
    line = Line(turns)
    for name in "abc":
        await line.join(name)
    assert turns.waiting == 3
    for _ in range(3):
        await line.serve()
    assert line.order == ["a", "b", "c"]
    assert turns.inflight == 2


async def test_urgent_ones_go_first_and_starve_nobody() -> None:
    turns = _turns(1, 100)
    assert turns.take_now()
    line = Line(turns)
    for name in "ab":
        await line.join(name)
    for number in range(10):
        await line.join(f"u{number}", urgent=True)
    for _ in range(12):
        await line.serve()
    assert line.order == ["u0", "u1", "u2", "u3", "a", "u4", "u5", "u6", "u7", "b", "u8", "u9"]


async def test_a_full_line_refuses_and_says_when_to_come_again() -> None:
    turns = _turns(1, 2)
    assert turns.take_now()
    turns.lasted(1.0)
    line = Line(turns)
    for name in "ab":
        await line.join(name)
    with pytest.raises(Overloaded) as refused:
        await turns.take(_later(), False)
    assert 0.1 < refused.value.details["retry_after_s"] < 3.0
    assert (turns.refused, turns.waiting) == (1, 2)


async def test_an_urgent_one_takes_the_last_place_of_a_full_line() -> None:
    turns = _turns(1, 2)
    assert turns.take_now()
    line = Line(turns)
    first, latest = await line.join("a"), await line.join("b")
    await line.join("u", urgent=True)
    with pytest.raises(Overloaded):
        await latest
    assert not first.done()
    await line.join("v", urgent=True)
    with pytest.raises(Overloaded):
        await first
    with pytest.raises(Overloaded):
        await turns.take(_later(), True)
    for _ in range(2):
        await line.serve()
    assert line.order == ["u", "v"]


async def test_who_is_cancelled_leaves_the_line_and_gives_back_what_he_got() -> None:
    turns = _turns(1, 10)
    assert turns.take_now()
    line = Line(turns)
    waiting = [await line.join(name) for name in "abc"]
    waiting[0].cancel()
    with suppress(asyncio.CancelledError):
        await waiting[0]
    assert turns.waiting == 2
    # Cancelled in the moment in which it is its turn, before it could run and after.
    waiting[1].cancel()
    await line.serve()
    assert line.order == ["c"]
    late = await line.join("d")
    turns.give_back()
    late.cancel()
    with suppress(asyncio.CancelledError):
        await late
    assert (turns.inflight, turns.waiting, line.order) == (0, 0, ["c"])
    assert turns.take_now()


async def test_who_waits_past_his_deadline_leaves_the_line() -> None:
    turns = _turns(1, 10)
    assert turns.take_now()
    with pytest.raises(DeadlineExceeded):
        await turns.take(time.monotonic() + 0.01, False)
    assert turns.waiting == 0


async def test_a_rate_lets_a_burst_through_and_the_others_as_tokens_come() -> None:
    turns = _turns(100, 100, RequestRate(per_s=50.0, burst=2))
    assert [turns.take_now() for _ in range(3)] == [True, True, False]
    began = time.monotonic()
    line = Line(turns)
    tasks = [await line.join(name) for name in "abcde"]
    await asyncio.gather(*tasks)
    assert line.order == list("abcde")
    # Five tokens at fifty a second; the first may have begun to fill before.
    assert time.monotonic() - began >= 0.07


async def test_what_the_rate_will_not_allow_in_time_is_refused_at_once() -> None:
    clock = Clock()
    turns = Turns("m", _options(100, 100, RequestRate(per_s=0.5, burst=1)), clock)
    assert turns.take_now()
    with pytest.raises(RateLimited) as refused:
        await turns.take(clock.now + 1.9, False)
    assert refused.value.details["retry_after_s"] == 2.0
    clock.advance(2.0)
    assert turns.take_now()


async def test_attempts_of_requests_under_way_go_before_new_requests() -> None:
    turns = _turns(2, 10, RequestRate(per_s=20.0, burst=1))
    assert turns.take_now()
    line = Line(turns)
    new = await line.join("new", urgent=True)

    async def again() -> None:
        await turns.take_again(_later())
        line.order.append("again")

    retry = asyncio.create_task(again())
    await asyncio.gather(new, retry)
    assert line.order == ["again", "new"]
    # Only the new request took a turn.
    assert turns.inflight == 2


async def test_more_room_is_filled_at_once() -> None:
    turns = _turns(1, 10)
    assert turns.take_now()
    line = Line(turns)
    tasks = [await line.join(name) for name in "ab"]
    turns.follow(_options(3, 10))
    await asyncio.gather(*tasks)
    assert turns.inflight == 3


async def test_who_left_in_the_middle_of_the_line_is_passed_over() -> None:
    turns = _turns(1, 10)
    assert turns.take_now()
    line = Line(turns)
    tasks = [await line.join(name) for name in "abcd"]
    # Still in line: their tasks have not run since.
    tasks[1].cancel()
    tasks[2].cancel()
    turns.follow(_options(3, 10))
    await asyncio.gather(*tasks, return_exceptions=True)
    assert line.order == ["a", "d"]
    assert (turns.inflight, turns.waiting) == (3, 0)
