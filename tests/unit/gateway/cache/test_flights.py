"""Single flight: one asks for all, and what goes wrong for it goes wrong for no other."""

from __future__ import annotations

import asyncio

import pytest

from hanax.core.errors import DeadlineExceeded, Unavailable
from hanax.gateway.cache.flights import Flights

KEY = (b"key", b"token")


class Source:
    """Answers when it is told to, and counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.ends: list[asyncio.Future[int]] = []

    async def ask(self) -> int:
        self.asked += 1
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        return await end


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_equal_requests_at_the_same_time_ask_once() -> None:
    flights, source = Flights[int](), Source()
    tasks = [asyncio.ensure_future(flights.join(KEY, source.ask, 60.0)) for _ in range(50)]
    other = asyncio.ensure_future(flights.join((b"key", b"later token"), source.ask, 60.0))
    await turns()
    assert source.asked == 2
    source.ends[0].set_result(7)
    source.ends[1].set_result(8)
    found = await asyncio.gather(*tasks)
    assert sorted(found) == [(7, False)] + [(7, True)] * 49
    assert await other == (8, False)
    # It is over: who comes now asks anew.
    late = asyncio.ensure_future(flights.join(KEY, source.ask, 60.0))
    await turns()
    source.ends[2].set_result(9)
    assert await late == (9, False)


async def test_when_the_one_that_asks_fails_the_others_ask_for_themselves() -> None:
    flights, source = Flights[int](), Source()
    tasks = [asyncio.ensure_future(flights.join(KEY, source.ask, 60.0)) for _ in range(3)]
    await turns()
    source.ends[0].set_exception(Unavailable("away"))
    await turns()
    assert source.asked == 3
    source.ends[1].set_result(7)
    source.ends[2].set_exception(Unavailable("away, too"))
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, Unavailable)
    assert second == (7, False)
    assert isinstance(third, Unavailable)
    assert third.message == "away, too"


async def test_when_the_one_that_asks_is_cancelled_the_next_asks_for_the_rest() -> None:
    flights, source = Flights[int](), Source()
    tasks = [asyncio.ensure_future(flights.join(KEY, source.ask, 60.0)) for _ in range(5)]
    await turns()
    tasks[0].cancel()
    await turns()
    assert source.asked == 2
    source.ends[1].set_result(7)
    assert await asyncio.gather(*tasks[1:]) == [(7, False), (7, True), (7, True), (7, True)]
    assert tasks[0].cancelled()


async def test_one_that_stops_waiting_disturbs_nobody() -> None:
    flights, source = Flights[int](), Source()
    tasks = [asyncio.ensure_future(flights.join(KEY, source.ask, 60.0)) for _ in range(3)]
    await turns()
    tasks[1].cancel()
    await turns()
    source.ends[0].set_result(7)
    assert [await tasks[0], await tasks[2]] == [(7, False), (7, True)]
    assert source.asked == 1


async def test_nobody_waits_longer_than_its_patience() -> None:
    flights, source = Flights[int](), Source()
    first = asyncio.ensure_future(flights.join(KEY, source.ask, 60.0))
    await turns()
    with pytest.raises(DeadlineExceeded):
        await flights.join(KEY, source.ask, 0.01)
    source.ends[0].set_result(7)
    assert await first == (7, False)
