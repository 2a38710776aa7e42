"""The patience of a job: what may pass is waited for and tried again, what will not pass fails the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from hanax.core.errors import DeadlineExceeded, HanaxError, ResourceExhausted, StorageFull, Unavailable
from hanax.gateway.calls import Call

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
# A server that answers wrongly so often may do so for good, and other jobs wait behind this one.
_MOST_WRONG_ANSWERS: Final = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """timeout_s: of a whole job, from the start of its call. `clock` is the call's."""

    timeout_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]

    async def run(self, call: Call, attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
        """What `attempt` answers, which may run several times, each time granted so many seconds.

        Raises the error that was met last, when the job's time is over or waiting won't help.
        """
        deadline = call.started + self.timeout_s
        pause_s = _FIRST_PAUSE_S
        wrong = 0
        while True:
            call.grant(max(0.0, min(seconds, deadline - self.clock())))
            try:
                return await attempt()
            except (Unavailable, ResourceExhausted, DeadlineExceeded) as error:
                wrong += error.details.get("wrong_answer") is True
                wait_s = min(max(pause_s, _retry_after_s(error)), _LONGEST_PAUSE_S)
                late = self.clock() + wait_s >= deadline
                if _is_final(error) or wrong == _MOST_WRONG_ANSWERS or late:
                    raise
            await self.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _is_final(error: HanaxError) -> bool:
    return isinstance(error, StorageFull) or error.details.get("retryable") is False


def _retry_after_s(error: HanaxError) -> float:
    return float(error.details.get("retry_after_s", 0.0))
