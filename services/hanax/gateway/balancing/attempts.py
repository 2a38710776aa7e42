"""One attempt at one endpoint: begun and ended there, and what its end says of the endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hanax.core.errors import DeadlineExceeded, HanaxError
from hanax.gateway.balancing.endpoints import Endpoint
from hanax.gateway.balancing.roster import Roster
from hanax.gateway.balancing.verdicts import judge

T = TypeVar("T")

# `attempt(address, timeout_s)`: idempotent; ends within its timeout; raises HanaxError and nothing else.
Attempt = Callable[[str, float], Coroutine[Any, Any, T]]

# An attempt that had less and ran out of time says nothing of the endpoint.
_FAIR_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """An attempt that has begun. trial: of a circuit that is half-open."""

    endpoint: Endpoint
    trial: bool
    began: float
    timeout_s: float


class Attempts:
    """limit_s: of one attempt; None: what the deadline leaves.

    An attempt has begun as soon as one of the methods is called: nobody else can choose the endpoint between
    its choice and that, so a circuit that is half-open has one trial.
    """

    def __init__(self, roster: Roster, limit_s: float | None, clock: Callable[[], float]) -> None:
        self.limit_s = limit_s
        self._roster = roster
        self._clock = clock

    async def here(self, attempt: Attempt[T], endpoint: Endpoint, deadline: float) -> T:
        """Raises what it raises."""
        sent = self._begin(endpoint, deadline)
        try:
            answer = await attempt(endpoint.address, sent.timeout_s)
        except BaseException as failure:
            self._end(sent, failure)
            raise
        self._end(sent, None)
        return answer

    def aside(self, attempt: Attempt[T], endpoint: Endpoint, deadline: float) -> asyncio.Task[T]:
        """In a task of its own. It ends with the task, also when that is cancelled before it ran at all."""
        sent = self._begin(endpoint, deadline)
        task = asyncio.ensure_future(attempt(endpoint.address, sent.timeout_s))

        def end(task: asyncio.Task[T]) -> None:
            self._end(sent, asyncio.CancelledError() if task.cancelled() else task.exception())

        task.add_done_callback(end)
        return task

    def _begin(self, endpoint: Endpoint, deadline: float) -> _Sent:
        began = self._clock()
        timeout_s = deadline - began
        if self.limit_s is not None and self.limit_s < timeout_s:
            timeout_s = self.limit_s
        return _Sent(endpoint, self._roster.begin(endpoint), began, timeout_s)

    def _end(self, sent: _Sent, failure: BaseException | None) -> None:
        """What the endpoint is known by from now on."""
        endpoint, now = sent.endpoint, self._clock()
        if failure is None:
            endpoint.succeed(sent.trial, sent.began, now)
        elif isinstance(failure, HanaxError):
            self._failed(sent, failure, now)
        else:
            endpoint.abandon(sent.trial, sent.began, now)
        if sent.trial:
            self._roster.wake()

    def _failed(self, sent: _Sent, error: HanaxError, now: float) -> None:
        endpoint, verdict = sent.endpoint, judge(error)
        fair_s = min(_FAIR_TIMEOUT_S, self.limit_s or _FAIR_TIMEOUT_S)
        if isinstance(error, DeadlineExceeded) and sent.timeout_s < fair_s:
            endpoint.abandon(sent.trial, now - sent.timeout_s, now)
        elif verdict.blames:
            endpoint.fail(error, sent.trial, now)
        else:
            endpoint.refuse(error, verdict, sent.trial, now)
        self._roster.failed(endpoint, now)
