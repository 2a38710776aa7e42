"""Single flight: of equal requests that come at once, one asks, and the others get its answer.

What goes wrong for the one that asks goes wrong for no other: when it fails, the others ask for themselves;
when it is cancelled, the next of them asks for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Generic, TypeVar

from hanax.core.errors import DeadlineExceeded

T = TypeVar("T")

_FAILED: Final[Any] = object()
_LEFT: Final[Any] = object()


class Flights(Generic[T]):
    """For one event loop."""

    def __init__(self) -> None:
        self._ends: dict[Hashable, asyncio.Future[T]] = {}

    async def join(
        self,
        key: Hashable,
        ask: Callable[[], Awaitable[T]],
        patience_s: float,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> tuple[T, bool]:
        """The answer, and whether another one asked for it. waiting: entered while another one asks.

        Raises what `ask` raises, or DeadlineExceeded when the others take longer than `patience_s`.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while (end := self._ends.get(key)) is not None:
            try:
                with waiting():
                    async with asyncio.timeout_at(until):
                        # Shielded: who stops waiting must not end the others' wait.
                        answer = await asyncio.shield(end)
            except TimeoutError:
                raise DeadlineExceeded("the request's time is over") from None
            if answer is _FAILED:
                return await ask(), False
            if answer is not _LEFT:
                return answer, True
        return await self._lead(key, ask), False

    async def _lead(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        end: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._ends[key] = end
        outcome: T = _FAILED
        try:
            outcome = await ask()
        except asyncio.CancelledError:
            outcome = _LEFT
            raise
        finally:
            del self._ends[key]
            end.set_result(outcome)
        return outcome
