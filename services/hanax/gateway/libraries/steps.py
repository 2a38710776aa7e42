"""Steps of a query, each with a time limit and retries of its own, and what became of each.

A step is tried again after what may be mended by another try: a part that is away, overloaded or late. Its
limit is of one try. All of them are reads, which may be tried as often as one likes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from hanax.core.errors import DeadlineExceeded, HanaxError, ResourceExhausted, Unavailable
from hanax.gateway.calls import Call

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0

_MENDABLE: Final = (Unavailable, ResourceExhausted, DeadlineExceeded)


@dataclass(frozen=True, slots=True)
class StepLimits:
    """timeout_s: of one try. retries: after the first."""

    timeout_s: float
    retries: int


@dataclass(frozen=True, slots=True)
class StepTold:
    """outcome: done, or the code of the error of the last try. skipped: the query went on without it."""

    name: str
    tries: int
    seconds: float
    outcome: str
    skipped: bool = False


@dataclass(slots=True)
class Steps:
    """Of one query. told: of those that have ended."""

    call: Call
    rng: random.Random = field(default_factory=random.Random)
    told: list[StepTold] = field(default_factory=list)

    async def run(
        self,
        name: str,
        limits: StepLimits,
        work: Callable[[Call], Awaitable[T]],
        otherwise: Callable[[], T] | None = None,
    ) -> T:
        """What `work` answers; it is given a call of its own for each try.

        otherwise: what is answered where the step fails for good; None: its error is raised, with the step's
        name in the details.
        """
        began = self.call.clock()
        tries = 0
        while True:
            tries += 1
            try:
                found = await self._try(limits.timeout_s, work, name)
            except HanaxError as error:
                again = isinstance(error, _MENDABLE) and error.details.get("retryable", True)
                if again and tries <= limits.retries:
                    await asyncio.sleep(self._pause_s(tries))
                    continue
                self._tell(name, tries, began, error.code, otherwise is not None)
                if otherwise is not None:
                    return otherwise()
                raise type(error)(f"{name}: {error.message}", **{**error.details, "step": name}) from None
            self._tell(name, tries, began, "done", False)
            return found

    async def _try(self, timeout_s: float, work: Callable[[Call], Awaitable[T]], name: str) -> T:
        call = self.call
        own = Call(call.request_id, call.clock, call.control, call.actor, call.caller)
        own.places, own.waited_s = call.places, call.waited_s
        own.grant(timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                return await work(own)
        except TimeoutError:
            raise DeadlineExceeded(f"not done within {timeout_s:g} s") from None
        finally:
            call.engine_s = max(call.engine_s, own.engine_s)

    def _tell(self, name: str, tries: int, began: float, outcome: str, skipped: bool) -> None:
        self.told.append(StepTold(name, tries, self.call.clock() - began, outcome, skipped))

    def _pause_s(self, tries: int) -> float:
        return self.rng.uniform(0.0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**tries))
