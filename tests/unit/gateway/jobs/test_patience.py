"""What a job waits for, and for how long. Time passes only where the job sleeps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
    InvalidArgument,
    Overloaded,
    PartialWrite,
    StorageFull,
    Unavailable,
    UpstreamFailed,
)
from hanax.gateway.calls import Call
from hanax.gateway.jobs.patience import Patience

HOUR_S = 3_600.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Attempt:
    """Raises these errors, one each time, the last for ever; "done" where there is none."""

    def __init__(self, call: Call, errors: Sequence[HanaxError | None]) -> None:
        self.granted: list[float] = []
        self._call = call
        self._errors = list(errors)

    async def __call__(self) -> str:
        self.granted.append(self._call.deadline - self._call.clock())
        error = self._errors.pop(0) if len(self._errors) > 1 else self._errors[0]
        if error is not None:
            raise error
        return "done"


async def run(clock: Clock, errors: Sequence[HanaxError | None]) -> Attempt:
    call = Call("1", clock)
    attempt = Attempt(call, errors)
    try:
        assert await Patience(HOUR_S, clock, clock.sleep).run(call, attempt, 60.0) == "done"
    finally:
        assert clock.now <= 100.0 + HOUR_S
    return attempt


@pytest.mark.parametrize("kind", [Unavailable, UpstreamFailed, Overloaded, DeadlineExceeded, PartialWrite])
async def test_what_may_pass_is_tried_again_with_the_same_time(kind: type[HanaxError]) -> None:
    clock = Clock()
    attempt = await run(clock, [kind("away")] * 20 + [None])
    assert attempt.granted == [60.0] * 21
    assert clock.pauses[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert set(clock.pauses[6:]) == {30.0}


async def test_who_says_when_to_come_again_is_left_alone_so_long() -> None:
    clock = Clock()
    errors = [Unavailable("away", retry_after_s=7.5), Unavailable("away", retry_after_s=600.0), None]
    await run(clock, errors)
    assert clock.pauses == [7.5, 30.0]


async def test_what_is_away_is_waited_for_until_the_job_s_time_is_over() -> None:
    clock = Clock()
    with pytest.raises(Unavailable):
        await run(clock, [Unavailable("away")])
    assert clock.now > 100.0 + HOUR_S - 31.0


async def test_a_server_that_answers_wrongly_is_tried_a_few_times_and_not_for_an_hour() -> None:
    """Refusals by its open circuit, between the tries, are none of them."""
    clock = Clock()
    wrong = UpstreamFailed("answered 5 numbers", retryable=True, wrong_answer=True)
    refused = UpstreamFailed("no endpoint takes requests now", retry_after_s=30.0)
    with pytest.raises(UpstreamFailed, match="answered 5 numbers"):
        await run(clock, [wrong, refused, refused, wrong, wrong, refused, wrong, wrong])
    assert len(clock.pauses) == 7
    assert clock.now < 100.0 + 300.0


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgument("wrong"),
        UpstreamFailed("wrong key", retryable=False),
        Unavailable("no key of ours", retryable=False),
        StorageFull("no room"),
    ],
)
async def test_what_will_not_pass_is_not_waited_for(error: HanaxError) -> None:
    clock = Clock()
    with pytest.raises(type(error)):
        await run(clock, [error])
    assert clock.pauses == []
