"""Each key once, never twice at once, and failures come back later and later."""

from __future__ import annotations

import asyncio
import random

import pytest

from hanax_operator.queue import Backoff, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock, random.Random(1))


def test_a_key_waits_once_however_often_it_is_asked_for(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [queue.take()[0], queue.take()[0], queue.take()] == ["a", "b", (None, None)]


def test_a_key_that_is_worked_on_comes_again_afterwards_and_not_before(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.take()[0] == "a"
    queue.add("a")
    assert queue.take() == (None, None)
    queue.done("a")
    assert queue.take()[0] == "a"
    queue.done("a")
    assert queue.take() == (None, None)


def test_the_earliest_of_several_times_counts(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a", after_s=10)
    queue.add("a", after_s=60)
    assert queue.take() == (None, 10)
    queue.add("a", after_s=2)
    assert queue.take() == (None, 2)
    clock.now += 2
    assert queue.take()[0] == "a"
    queue.done("a")
    clock.now += 100
    assert queue.take() == (None, None)


def test_done_may_ask_for_a_later_time(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    queue.take()
    queue.done("a", again_after_s=5)
    assert queue.take() == (None, 5)


def test_failures_pause_longer_and_longer_up_to_a_cap() -> None:
    backoff: Backoff[str] = Backoff(random.Random(1))
    pauses = [backoff.next_pause("a") for _ in range(2_000)]
    assert 0.1 <= pauses[0] <= 0.2
    assert all(15 <= pause <= 30 for pause in pauses[10:])
    assert backoff.next_pause("b") <= 0.2
    backoff.reset("a")
    assert backoff.next_pause("a") <= 0.2


def test_being_asked_for_does_not_shorten_the_pause_of_a_failure(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    queue.take()
    queue.add("a")
    pause = queue.failed("a")
    queue.add("a")
    assert queue.take()[1] == pytest.approx(pause)
    clock.now += pause
    assert queue.take()[0] == "a"
    queue.done("a")
    queue.add("a")
    assert queue.take()[0] == "a"


async def test_a_worker_that_waits_is_woken(clock: Clock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock, random.Random(1))
    waiting = [asyncio.ensure_future(queue.next()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    assert sorted(await asyncio.gather(*waiting)) == ["a", "b"]


async def test_a_worker_that_is_cancelled_as_work_arrives_ends(queue: WorkQueue[str]) -> None:
    """Else an operator that is to end goes on until it is killed."""
    queue.add("b", after_s=60.0)
    waiting = asyncio.ensure_future(queue.next())
    await asyncio.sleep(0)
    queue.add("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
