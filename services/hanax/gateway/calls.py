"""One request on its way through the gateway: its id, its deadline, the time it waited for others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hanax.gateway.cache.control import ANY, CacheControl
from hanax.gateway.guard.caller import ANYONE, Caller
from hanax.gateway.guard.limits import RateState
from hanax.gateway.places import Places, SharedPlace


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a request gets, and one that embeds texts."""

    request_s: float
    embed_s: float


@dataclass(slots=True)
class Call:
    """Times are seconds on `clock`. `deadline` is `started` until a service object grants time.

    `engine_s` is the longest time inside a shard, as the shards tell it; part of the wait for them.
    `cached_age_s`: how old the answer is, where it is one that was kept; `cache_missed`: none was found.
    `answer_until_us`: when the answer ends by itself, microseconds since 1970 UTC; infinity for never.
    `places`: where it has one of those who are worked on; None: it needs none, as jobs.
    `actor`: who asks, as far as is known: "anonymous", an address, a key, or "job" and its id.
    `caller`: what they may do. `rate`: what is left of their limit; None: they have none.
    `items`: points that were written, removed or answered so far.
    `must_end`: it has begun to change something, and ends even when its client has gone away.
    `replayed`: its answer is that of an earlier one with the same Idempotency-Key.
    """

    request_id: str
    clock: Callable[[], float]
    control: CacheControl = ANY
    actor: str = "anonymous"
    caller: Caller = ANYONE
    rate: RateState | None = None
    started: float = field(init=False)
    deadline: float = field(init=False)
    waited_s: dict[str, float] = field(init=False, default_factory=dict)
    engine_s: float = field(init=False, default=0.0)
    cached_age_s: float | None = field(init=False, default=None)
    cache_missed: bool = field(init=False, default=False)
    answer_until_us: float = field(init=False, default=math.inf)
    places: Places | SharedPlace | None = field(init=False, default=None)
    must_end: bool = field(init=False, default=False)
    replayed: bool = field(init=False, default=False)
    items: int = field(init=False, default=0)
    _latest: float = field(init=False, default=math.inf)
    _away: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.started = self.deadline = self.clock()

    def grant(self, seconds: float) -> None:
        """Set the deadline, counted from now: reading a large body does not use it up."""
        self.deadline = min(self.clock() + seconds, self._latest)

    def limit(self, seconds: float) -> None:
        """Whatever is granted later ends within these seconds."""
        self._latest = min(self._latest, self.clock() + seconds)

    def hit(self, age_s: float) -> None:
        """The answer is one that was kept."""
        self.cached_age_s = age_s

    def ends_at(self, instant_us: int | None) -> None:
        """The answer holds until then at most; None or 0: this does not end it."""
        if instant_us:
            self.answer_until_us = min(self.answer_until_us, instant_us)

    def part(self, place: SharedPlace | None) -> Call:
        """A call for one of several things that are done for this request at once; `took_part` ends it."""
        call = replace(self)
        call._latest = self._latest
        call.places = place
        return call

    def took_part(self, part: Call) -> None:
        """Count what a part has waited for and found: parts wait at once, so the longest wait counts."""
        for upstream, spent in part.waited_s.items():
            self.waited_s[upstream] = max(self.waited_s.get(upstream, 0.0), spent)
        self.engine_s = max(self.engine_s, part.engine_s)
        self.items += part.items
        self.must_end = self.must_end or part.must_end
        if part.cached_age_s is None:
            # An answer counts as kept when all of it was.
            self.cache_missed = self.cache_missed or part.cache_missed or bool(part.waited_s)
            self.cached_age_s = None
        elif not self.cache_missed:
            self.cached_age_s = max(self.cached_age_s or 0.0, part.cached_age_s)

    def elapsed_s(self) -> float:
        return self.clock() - self.started

    @contextmanager
    def waiting(self, upstream: str) -> Iterator[None]:
        """Count what passes inside as time spent on `upstream`, not as the gateway's own."""
        began = self.clock()
        try:
            yield
        finally:
            spent = self.clock() - began
            self.waited_s[upstream] = self.waited_s.get(upstream, 0.0) + spent

    @contextmanager
    def away(self) -> Iterator[None]:
        """Leave the place to others while inside: for waits on what may hang."""
        if self.places is None or self._away or not self.places.leave():
            yield
            return
        self._away = True
        try:
            yield
        finally:
            self._away = False
            self.places.come_back()
