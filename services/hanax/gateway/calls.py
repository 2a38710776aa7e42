"""One request on its way through the gateway: its id, its deadline, the time it waited for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a request gets, and one that embeds texts."""

    request_s: float
    embed_s: float


@dataclass(slots=True)
class Call:
    """Times are seconds on `clock`. `deadline` is `started` until a service object grants time.

    `engine_s` is the longest time inside a shard, as the shards tell it; part of the wait for them.
    """

    request_id: str
    clock: Callable[[], float]
    started: float = field(init=False)
    deadline: float = field(init=False)
    waited_s: dict[str, float] = field(init=False, default_factory=dict)
    engine_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.started = self.deadline = self.clock()

    def grant(self, seconds: float) -> None:
        """Set the deadline, counted from now: reading a large body does not use it up."""
        self.deadline = self.clock() + seconds

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
