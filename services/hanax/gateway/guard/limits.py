"""Rate limits: a token bucket for each caller, in the cache's Redis where there is one, else in this process.

A bucket holds `burst` tokens and gains `per_s` a second; a request takes one. In Redis the bucket is that of
all gateways. While Redis is away, and where there is none, each gateway process has a bucket of its own,
with its part of the rate where it knows of others on its machine: nobody is refused for an outage.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from hanax.core.errors import RateLimited
from hanax.gateway.guard.caller import Caller, Rate

# Buckets that are kept here; one that is forgotten is full when it comes again.
_MAX_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """tokens: left, or what is there of the one that was wanted. granted: whether it was taken."""

    granted: bool
    tokens: float


@dataclass(frozen=True, slots=True)
class RateState:
    """What a caller is told: RateLimit-Limit, -Remaining and -Reset, whole requests and seconds.

    reset_s: until the bucket is full, if nothing more comes. retry_after_s: until there is a token.
    """

    limit: int
    remaining: int
    reset_s: int
    retry_after_s: float
    granted: bool

    @classmethod
    def of(cls, rate: Rate, taken: Taken) -> RateState:
        return cls(
            rate.burst,
            math.floor(taken.tokens),
            math.ceil((rate.burst - taken.tokens) / rate.per_s),
            max(0.0, 1.0 - taken.tokens) / rate.per_s,
            taken.granted,
        )

    def check(self) -> None:
        """Raises RateLimited."""
        if not self.granted:
            raise RateLimited(
                f"more requests than this caller may send: {self.limit} at once",
                retry_after_s=self.retry_after_s,
                limit=self.limit,
            )

    def headers(self) -> tuple[tuple[str, str], ...]:
        """In lower case."""
        return (
            ("ratelimit-limit", str(self.limit)),
            ("ratelimit-remaining", str(self.remaining)),
            ("ratelimit-reset", str(self.reset_s)),
        )


class SharedBuckets(Protocol):
    async def take(self, name: str, rate: Rate) -> Taken | None:
        """None: the store is away."""
        ...


class LocalBuckets:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Tokens, and when they were counted.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, rate: Rate) -> Taken:
        now = self._clock()
        tokens, at = self._buckets.pop(name, (float(rate.burst), now))
        tokens = min(float(rate.burst), tokens + max(0.0, now - at) * rate.per_s)
        granted = tokens >= 1.0
        if granted:
            tokens -= 1.0
        self._buckets[name] = (tokens, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return Taken(granted, tokens)


class RateLimits:
    def __init__(
        self,
        default: Rate | None,
        shared: SharedBuckets | None,
        processes: int,
        clock: Callable[[], float],
    ) -> None:
        """default: of callers who have none of their own. processes: gateways of this machine."""
        self._default = default
        self._shared = shared
        self._processes = processes
        self._local = LocalBuckets(clock)

    async def take(self, caller: Caller) -> RateState | None:
        """For one request. None: this caller has no limit."""
        rate = caller.rate or self._default
        if rate is None or caller.is_service:
            return None
        taken = None if self._shared is None else await self._shared.take(caller.identity, rate)
        if taken is None:
            rate = self._part(rate)
            taken = self._local.take(caller.identity, rate)
        return RateState.of(rate, taken)

    def _part(self, rate: Rate) -> Rate:
        """Of one process. A whole request at least, or nothing could ever come."""
        if self._processes == 1:
            return rate
        return Rate(rate.per_s / self._processes, max(1, rate.burst // self._processes))
