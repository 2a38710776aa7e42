"""What has to be reconciled: each key once, however often it was asked for.

A key that is asked for while it is worked on is worked on again afterwards, and never twice at once. One
that failed comes again after a pause that doubles, with jitter, up to a cap; being asked for meanwhile
brings it forward, but not before the pause that its failures earned.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0


class Backoff(Generic[Key]):
    """Pauses by key."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures: dict[Key, int] = {}

    def next_pause(self, key: Key) -> float:
        """Seconds, between half of the present step and all of it."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # The exponent is bounded, because a float overflows long before a collection is repaired.
        step = min(_FIRST_PAUSE_S * 2.0 ** min(failures, 20), _LONGEST_PAUSE_S)
        return float(step * self._rng.uniform(0.5, 1.0))

    def reset(self, key: Key) -> None:
        self._failures.pop(key, None)


class WorkQueue(Generic[Key]):
    """For one event loop. `clock_s` is monotonic."""

    def __init__(self, clock_s: Callable[[], float], rng: random.Random) -> None:
        self._clock_s = clock_s
        self._backoff: Backoff[Key] = Backoff(rng)
        self._due: dict[Key, float] = {}
        self._not_before: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._added = 0
        self._working: set[Key] = set()
        self._again: dict[Key, float] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: Key, after_s: float = 0.0) -> None:
        """Ask for a key. The earliest of several times counts."""
        at = self._clock_s() + after_s
        if key in self._working:
            self._again[key] = min(at, self._again.get(key, at))
            return
        self._schedule(key, max(at, self._not_before.get(key, at)))

    def take(self) -> tuple[Key | None, float | None]:
        """The key that is due longest; or None, and the seconds to the next one (None: nothing waits)."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._due.get(key) != at:
                heapq.heappop(self._heap)  # brought forward since
                continue
            wait = at - self._clock_s()
            if wait > 0:
                return None, wait
            heapq.heappop(self._heap)
            del self._due[key]
            self._working.add(key)
            return key, None
        return None, None

    def done(self, key: Key, again_after_s: float | None = None) -> None:
        """A key was worked on. It comes again after `again_after_s`, and if it was asked for meanwhile."""
        self._backoff.reset(key)
        self._not_before.pop(key, None)
        self._finish(key, None if again_after_s is None else self._clock_s() + again_after_s)

    def failed(self, key: Key) -> float:
        """A key could not be worked on. Returns the pause before it comes again, in seconds."""
        pause = self._backoff.next_pause(key)
        self._not_before[key] = self._clock_s() + pause
        self._again.pop(key, None)
        self._finish(key, self._not_before[key])
        return pause

    async def next(self) -> Key:
        """Wait for a key that is due."""
        while True:
            key, wait = self.take()
            if key is not None:
                return key
            self._changed.clear()
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the change.
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _finish(self, key: Key, at: float | None) -> None:
        self._working.discard(key)
        asked = self._again.pop(key, None)
        times = [time for time in (at, asked) if time is not None]
        if times:
            self._schedule(key, min(times))

    def _schedule(self, key: Key, at: float) -> None:
        known = self._due.get(key)
        if known is not None and known <= at:
            return
        self._due[key] = at
        self._added += 1
        heapq.heappush(self._heap, (at, self._added, key))
        self._changed.set()
