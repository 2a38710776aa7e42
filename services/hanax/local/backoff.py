"""How long to wait before the next start of something that died."""

from __future__ import annotations

import random


class Backoff:
    """Doubling pauses with jitter, from `first_s` up to `longest_s`."""

    def __init__(self, first_s: float, longest_s: float, rng: random.Random) -> None:
        self._first = first_s
        self._longest = longest_s
        self._rng = rng
        self._pause = first_s

    def next_pause(self) -> float:
        """Seconds, between half of the present step and all of it. The next step is the double."""
        pause = self._pause * self._rng.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, self._longest)
        return pause

    def reset(self) -> None:
        self._pause = self._first
