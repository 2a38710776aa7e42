"""Who of a pool's requests may go now: so many at once, so many a second, the others wait in line.

A turn is held from a request's first attempt to its end, so that retries never add to what is under
way. Each attempt takes a token of the rate besides. Those who wait are served in this order: attempts
of requests that have a turn, urgent requests, the others; but after so many urgent ones in a row one
of the others goes. The line is bounded: at its end an urgent request takes the place of the latest
that is not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hanax.core.errors import DeadlineExceeded, Overloaded, RateLimited, ResourceExhausted
from hanax.gateway.balancing.buckets import RateBucket
from hanax.gateway.balancing.options import PoolOptions

_URGENT_IN_A_ROW: Final = 4
_TURN_WEIGHT: Final = 0.1
# Before any turn has ended.
_FIRST_TURN_S: Final = 0.1
_LEAST_RETRY_S: Final = 0.05

_Waiter = asyncio.Future[None]


class Turns:
    """`clock` is in seconds, as deadlines are."""

    def __init__(self, name: str, options: PoolOptions, clock: Callable[[], float]) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._rate = None if options.rate is None else RateBucket(options.rate, clock())
        self._again: deque[_Waiter] = deque()
        self._urgent: deque[_Waiter] = deque()
        self._others: deque[_Waiter] = deque()
        self._urgent_in_a_row = 0
        self._turn_s = _FIRST_TURN_S
        self._timer: asyncio.TimerHandle | None = None
        self.inflight = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        return len(self._again) + len(self._urgent) + len(self._others)

    def follow(self, options: PoolOptions) -> None:
        """Go by other options from now on."""
        now = self._clock()
        if options.rate is None:
            self._rate = None
        elif self._rate is None:
            self._rate = RateBucket(options.rate, now)
        else:
            self._rate.change(options.rate, now)
        self._options = options
        self._serve()

    def take_now(self) -> bool:
        """A turn, if nobody waits for one."""
        if self.inflight >= self._options.max_inflight or self._urgent or self._others or self._again:
            return False
        if self._rate is not None and not self._rate.take(self._clock()):
            return False
        self.inflight += 1
        return True

    async def take(self, deadline: float, urgent: bool) -> None:
        """A turn, and the token of its first attempt.

        Raises Overloaded (the line is full), RateLimited (no token comes in time) or DeadlineExceeded.
        """
        self._check_rate(len(self._again) + len(self._urgent) if urgent else self.waiting, deadline)
        if len(self._urgent) + len(self._others) >= self._options.max_waiting:
            if not urgent or not self._others:
                raise self._overloaded()
            latest = self._others.pop()
            if not latest.done():
                latest.set_exception(self._overloaded())
        await self._wait(self._urgent if urgent else self._others, deadline, self.give_back)

    async def take_again(self, deadline: float) -> None:
        """The token of one more attempt of a request that has a turn. Raises as `take` does."""
        if self._rate is None or (not self._again and self._rate.take(self._clock())):
            return
        self._check_rate(len(self._again), deadline)
        await self._wait(self._again, deadline, self._put_back)

    def take_token_now(self) -> bool:
        """A token, if there is one that nobody waits for."""
        if self._rate is None:
            return True
        return not self.waiting and self._rate.take(self._clock())

    def give_back(self) -> None:
        """The turn ends."""
        self.inflight -= 1
        if self._urgent or self._others:
            self._serve()

    def lasted(self, seconds: float) -> None:
        """How long a turn took: tells those who are refused when to come again."""
        self._turn_s += (seconds - self._turn_s) * _TURN_WEIGHT

    def _put_back(self) -> None:
        if self._rate is not None:
            self._rate.put_back()
            self._serve()

    def _check_rate(self, ahead: int, deadline: float) -> None:
        """Raises RateLimited when the token after those of `ahead` others would come too late."""
        if self._rate is None:
            return
        now = self._clock()
        wait_s = self._rate.wait_s(ahead, now)
        if now + wait_s > deadline:
            self.refused += 1
            raise RateLimited(
                f"more requests to {self._name} than its rate allows",
                retry_after_s=round(max(wait_s, _LEAST_RETRY_S), 3),
            )

    def _overloaded(self) -> ResourceExhausted:
        self.refused += 1
        ahead = self.waiting + 1
        wait_s = ahead * self._turn_s / self._options.max_inflight
        if self._rate is not None:
            wait_s = max(wait_s, self._rate.wait_s(ahead, self._clock()))
        return Overloaded(
            f"{self.waiting} requests wait for {self._name} already",
            retry_after_s=round(max(wait_s, _LEAST_RETRY_S), 3),
        )

    async def _wait(self, line: deque[_Waiter], deadline: float, undo: Callable[[], None]) -> None:
        """Until this one is served. `undo` gives back what one got that is gone by then."""
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        line.append(waiter)
        self._serve()
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock())):
                await waiter
        except BaseException as failure:
            if waiter in line:
                line.remove(waiter)
            elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                undo()
            if isinstance(failure, TimeoutError):
                raise DeadlineExceeded(f"the request's time passed in the line for {self._name}") from None
            raise

    def _serve(self) -> None:
        """Let go whoever may. Those who left are still in line until their task runs."""
        for waiting in (self._again, self._urgent, self._others):
            while waiting and waiting[0].done():
                waiting.popleft()
        while (line := self._next_line()) is not None and self._token():
            if line is not self._again:
                self.inflight += 1
                self._urgent_in_a_row = self._urgent_in_a_row + 1 if line is self._urgent else 0
            line.popleft().set_result(None)
            while line and line[0].done():
                line.popleft()

    def _next_line(self) -> deque[_Waiter] | None:
        """Whose head goes next."""
        if self._again:
            return self._again
        if self.inflight >= self._options.max_inflight:
            return None
        if self._urgent and (not self._others or self._urgent_in_a_row < _URGENT_IN_A_ROW):
            return self._urgent
        return self._others or None

    def _token(self) -> bool:
        """Take one; if there is none, serve again when there is."""
        if self._rate is None:
            return True
        now = self._clock()
        if self._rate.take(now):
            return True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._rate.wait_s(0, now), self._tick)
        return False

    def _tick(self) -> None:
        self._timer = None
        self._serve()
