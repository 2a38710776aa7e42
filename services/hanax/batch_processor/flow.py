"""How much is asked of the gateway at once: additive increase, multiplicative decrease (Chiu & Jain, 1989).

Each batch that is answered lets a little more be on its way, a refusal halves it, and for as long as the
refusal says nothing more is sent. So a job takes what embedders and shards have to spare.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

# Refusals of what was on its way together count once.
_ONE_DECREASE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class Flow:
    """Of one job, for all its tasks here. Of one event loop. clock: seconds, monotonic."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._clock = clock
        self._limit = float(most)
        self._decreased_at = float("-inf")
        self._closed_until = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """Batches that may be on their way now."""
        return max(1, int(self._limit))

    def answered(self) -> None:
        self._limit = min(float(self.most), self._limit + 1 / self._limit)
        self._let_in()

    def refused(self, retry_after_s: float) -> None:
        """By whoever has too much to do, or is not there."""
        now = self._clock()
        if now - self._decreased_at >= _ONE_DECREASE_S:
            self._decreased_at = now
            self._limit = max(1.0, self._limit / 2)
        pause_s = min(retry_after_s, _LONGEST_PAUSE_S)
        self._closed_until = max(self._closed_until, now + pause_s)

    def leave(self) -> None:
        """A batch is on its way no more."""
        self.in_flight -= 1
        self._let_in()

    async def enter(self) -> None:
        """Wait until one more batch may be sent; it is on its way until `leave`."""
        if not self._waiting and self._is_open():
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.in_flight -= 1
            elif turn in self._waiting:
                # Not there any more where its turn came between the cancellation and this.
                self._waiting.remove(turn)
            self._let_in()
            raise

    def _is_open(self) -> bool:
        return self.in_flight < self.limit and self._clock() >= self._closed_until

    def _let_in(self) -> None:
        while self._waiting and self._is_open():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
        left_s = self._closed_until - self._clock()
        if self._waiting and left_s > 0 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._reopen)

    def _reopen(self) -> None:
        self._timer = None
        self._let_in()
