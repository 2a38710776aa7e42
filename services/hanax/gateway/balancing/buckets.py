"""Token buckets: of a rate, and of retries."""

from __future__ import annotations

from typing import Final

from hanax.core.model_routes import RequestRate

# As Finagle's retry budget: a share of the requests, and a few a second for those who ask seldom.
_RETRIES_PER_REQUEST: Final = 0.2
_RETRIES_PER_S: Final = 1.0
_FEW_RETRIES: Final = 20.0
# What a quiet time may save up: all that was under way to an endpoint when it died.
_MOST_RETRIES: Final = 200.0


class RateBucket:
    """`burst` tokens, filled by `per_s` a second. Times are seconds on one clock."""

    def __init__(self, rate: RequestRate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> bool:
        self._fill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def put_back(self) -> None:
        """A token that was not used."""
        self._tokens = min(self._tokens + 1.0, float(self._rate.burst))

    def wait_s(self, ahead: int, now: float) -> float:
        """Until there is a token for one that waits behind `ahead` others."""
        self._fill(now)
        return max(0.0, (ahead + 1 - self._tokens) / self._rate.per_s)

    def change(self, rate: RequestRate, now: float) -> None:
        self._fill(now)
        self._rate = rate
        self._tokens = min(self._tokens, float(rate.burst))

    def _fill(self, now: float) -> None:
        if now > self._at:
            gained = (now - self._at) * self._rate.per_s
            self._tokens = min(self._tokens + gained, float(self._rate.burst))
            self._at = now


class RetryBudget:
    """Retries are at most a fifth of the requests and a few: they never double an outage's load."""

    def __init__(self, now: float) -> None:
        self._tokens = _FEW_RETRIES
        self._at = now

    def request(self) -> None:
        """Count a request that begins."""
        self._tokens = min(self._tokens + _RETRIES_PER_REQUEST, _MOST_RETRIES)

    def take(self, now: float) -> bool:
        """Whether one more attempt may be made."""
        if self._tokens < _FEW_RETRIES:
            self._tokens = min(self._tokens + (now - self._at) * _RETRIES_PER_S, _FEW_RETRIES)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
