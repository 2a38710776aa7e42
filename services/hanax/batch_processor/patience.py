"""The patience of a job: what may pass is waited for, for so long; what will not pass is an error at once.

A call may be made several times: every write names its ids.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from hanax.batch_processor.flow import Flow
from hanax.core.errors import (
    AlreadyExists,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    HanaxError,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
    VersionConflict,
)

log = structlog.get_logger()

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 15.0
# What passes sooner is not worth a line of the log.
_TOLD_PAUSE_S: Final = 3.0
# So often in a row an answer may say what waiting does not mend: a gateway that has just started may not know
# yet what is there, and a server may answer wrongly once.
_MOST_WRONG_ANSWERS: Final = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """patience_s: how long what is away is waited for, each time. clock: seconds, monotonic."""

    patience_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    rng: random.Random


class Patience:
    """Of the calls of one job; `flow` learns how they end."""

    def __init__(self, waiting: Waiting, flow: Flow) -> None:
        self._waiting = waiting
        self._flow = flow

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` answers. Raises an InvalidArgument or a VersionConflict at once, anything else when
        it has not passed.
        """
        ends = self._waiting.clock() + self._waiting.patience_s
        pause_s = _FIRST_PAUSE_S
        wrong = 0
        while True:
            try:
                answer = await attempt()
            except (InvalidArgument, VersionConflict):
                self._flow.answered()
                raise
            except HanaxError as error:
                wrong = wrong + 1 if _is_wrong(error) else 0
                wait_s = max(self._waiting.rng.uniform(0.5, 1.0) * pause_s, retry_after_s(error))
                late = self._waiting.clock() + wait_s >= ends
                if wrong == _MOST_WRONG_ANSWERS or late or not _may_pass(error):
                    raise
                if wait_s >= _TOLD_PAUSE_S:
                    log.warning("a job waits", error=error.code, reason=error.message)
                if isinstance(error, ResourceExhausted | Unavailable | DeadlineExceeded):
                    self._flow.refused(retry_after_s(error))
            else:
                self._flow.answered()
                return answer
            await self._waiting.sleep(min(wait_s, _LONGEST_PAUSE_S))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def retry_after_s(error: HanaxError) -> float:
    """How long the error says to stay away; 0.0: it does not say."""
    told = error.details.get("retry_after_s", 0.0)
    return float(told) if isinstance(told, int | float) and told > 0 else 0.0


def _is_wrong(error: HanaxError) -> bool:
    told = error.details.get("wrong_answer") is True
    return told or isinstance(error, AlreadyExists | FailedPrecondition | Internal | NotFound)


def _may_pass(error: HanaxError) -> bool:
    return not isinstance(error, DataLoss) and error.details.get("retryable") is not False
