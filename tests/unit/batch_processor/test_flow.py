"""Back-pressure: refusals halve what is on its way, answers let it grow, and a pause is a pause for all."""

from __future__ import annotations

import asyncio
import random

import pytest

from hanax.batch_processor.flow import Flow
from hanax.batch_processor.patience import Patience, Waiting
from hanax.core.errors import (
    CollectionExists,
    CollectionNotFound,
    DataLoss,
    HanaxError,
    InvalidText,
    Overloaded,
    StorageFull,
    Unavailable,
    UpstreamFailed,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_refusal_halves_and_answers_let_it_grow_by_one_a_round() -> None:
    clock = Clock()
    flow = Flow(8, clock)
    assert flow.limit == 8
    flow.refused(0.0)
    # Those that were on their way together count once.
    flow.refused(0.0)
    assert flow.limit == 4
    for _ in range(4):
        flow.answered()
    assert 4 <= flow.limit <= 5
    for _ in range(200):
        flow.answered()
    assert flow.limit == 8
    for _ in range(10):
        clock.now += 1
        flow.refused(0.0)
    assert flow.limit == 1


async def test_no_more_than_the_limit_is_on_its_way_and_turns_are_taken_in_order() -> None:
    flow = Flow(2, Clock())
    order: list[int] = []

    async def take(number: int) -> None:
        await flow.enter()
        order.append(number)

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    # One turn of the event loop: each has entered, or waits.
    await asyncio.sleep(0)
    assert order == [0, 1]
    tasks[2].cancel()
    await asyncio.gather(tasks[2], return_exceptions=True)
    flow.leave()
    await asyncio.gather(tasks[3])
    assert (order, flow.in_flight) == ([0, 1, 3], 2)
    for _ in range(2):
        flow.leave()
    await tasks[4]
    flow.leave()
    assert flow.in_flight == 0


async def test_nothing_is_sent_for_as_long_as_a_refusal_says() -> None:
    loop = asyncio.get_running_loop()
    flow = Flow(4, loop.time)
    began = loop.time()
    flow.refused(0.05)
    await asyncio.gather(flow.enter(), flow.enter())
    assert loop.time() - began >= 0.05


def patience(clock: Clock, seconds: float = 60.0) -> tuple[Patience, Flow]:
    flow = Flow(4, clock)
    return Patience(Waiting(seconds, clock, clock.sleep, random.Random(5)), flow), flow


async def met(error: HanaxError, times: int, seconds: float = 60.0) -> tuple[str, Clock]:
    """How a call ends that fails so often before it succeeds."""
    clock = Clock()
    patient, _ = patience(clock, seconds)
    left = times

    async def attempt() -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return "ok"

    try:
        return await patient.run(attempt), clock
    except HanaxError as last:
        return last.code, clock


@pytest.mark.parametrize("error", [Unavailable("away"), Overloaded("full"), StorageFull("disk")])
async def test_what_passes_is_waited_for(error: HanaxError) -> None:
    assert (await met(error, 6))[0] == "ok"


async def test_patience_is_bounded() -> None:
    code, clock = await met(Unavailable("away"), 10_000)
    assert code == "unavailable"
    assert clock.now - 100 <= 60


async def test_as_long_as_an_error_says_nothing_is_asked() -> None:
    code, clock = await met(Overloaded("full", retry_after_s=7.5), 2)
    assert (code, clock.now - 100 >= 15) == ("ok", True)


@pytest.mark.parametrize(
    "error", [InvalidText("bad"), DataLoss("gone"), UpstreamFailed("no such key", retryable=False)]
)
async def test_what_does_not_pass_fails_at_once(error: HanaxError) -> None:
    code, clock = await met(error, 1)
    assert (code, clock.now) == (error.code, 100.0)


@pytest.mark.parametrize("error", [CollectionNotFound("none"), CollectionExists("there is one")])
async def test_a_wrong_answer_is_believed_when_it_is_given_often(error: HanaxError) -> None:
    """A gateway that has just started may not know yet what is there."""
    assert (await met(error, 4))[0] == "ok"
    assert (await met(error, 5))[0] == error.code


async def test_refusals_are_felt_by_the_flow() -> None:
    patient, flow = patience(Clock())
    answers = iter([Overloaded("full"), None])

    async def attempt() -> None:
        if error := next(answers):
            raise error

    await patient.run(attempt)
    assert flow.limit == 2


async def test_a_turn_that_comes_to_one_who_was_just_cancelled_goes_to_the_next() -> None:
    flow = Flow(1, Clock())
    await flow.enter()
    gone, following = (asyncio.create_task(flow.enter()) for _ in range(2))
    # One turn of the event loop: both wait.
    await asyncio.sleep(0)
    gone.cancel()
    flow.leave()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await following
    assert flow.in_flight == 1
