"""The circuit breaker of one endpoint.

closed: requests go through. After `failures` in a row it is open: none goes through for `open_s`. Then,
or as soon as a probe is answered, it is half-open: one request is let through as a trial, and its end
closes the circuit or opens it again.
"""

from __future__ import annotations

from typing import Literal

from hanax.core.model_routes import Breaker

CircuitState = Literal["closed", "open", "half_open"]


class Circuit:
    """Times are seconds on one clock."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.opened = 0
        self._failures = 0
        self._closed = True
        self._until = 0.0
        self._trying = False

    def state(self, now: float) -> CircuitState:
        if self._closed:
            return "closed"
        return "open" if now < self._until else "half_open"

    @property
    def closed(self) -> bool:
        return self._closed

    def passes(self, now: float) -> bool:
        """Whether one more request may go through."""
        return self._closed or (now >= self._until and not self._trying)

    def wait_s(self, now: float) -> float:
        """Until it may be half-open."""
        return 0.0 if self._closed else max(0.0, self._until - now)

    def begin(self) -> bool:
        """A request goes through; whether it is the trial."""
        if self._closed:
            return False
        self._trying = True
        return True

    def succeed(self, trial: bool) -> None:
        """Of requests that began before the circuit opened, the end says nothing of now."""
        if self._closed or trial:
            self._closed = True
            self._trying = False
            self._failures = 0

    def fail(self, trial: bool, now: float) -> None:
        if trial:
            self._trying = False
            self._open(now)
        elif self._closed:
            self._failures += 1
            if self._failures >= self.breaker.failures:
                self._open(now)

    def abandon(self, trial: bool) -> None:
        """The request ended without an answer that says anything: another may be the trial."""
        if trial:
            self._trying = False

    def probed(self, now: float) -> None:
        """A probe was answered: worth a trial now."""
        if not self._closed:
            self._until = min(self._until, now)

    def _open(self, now: float) -> None:
        self._closed = False
        self._failures = 0
        self._until = now + self.breaker.open_s
        self.opened += 1
