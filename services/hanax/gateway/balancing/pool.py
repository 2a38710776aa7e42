"""Requests over endpoints that serve the same: chosen, tried again elsewhere, held back, counted.

A request takes its turn, an endpoint is chosen among those that may be asked, and the attempt runs. A
failure that another attempt may mend is tried again: at once at an endpoint that this request has not
met, after a pause with full jitter where it has; within the deadline, the attempts allowed and the
retry budget of the pool. So every attempt has to be idempotent.

When no endpoint may be asked, the request waits for one: as long as its deadline where its attempts are
not numbered; otherwise only for an endpoint that said when to come again, or a circuit that is about to
let a trial through.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
    Overloaded,
    RateLimited,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.model_routes import ModelEndpoint
from hanax.gateway.balancing.attempts import Attempt, Attempts
from hanax.gateway.balancing.buckets import RetryBudget
from hanax.gateway.balancing.endpoints import Endpoint, EndpointState
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.roster import Probe, Roster
from hanax.gateway.balancing.turns import Turns
from hanax.gateway.balancing.verdicts import judge

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
# A circuit that may be tried again sooner is waited for; with a longer one the request fails at once.
_PATIENCE_S: Final = 3.0
_LEAST_RETRY_S: Final = 0.05
# Some rounds of probes: by then one that can be reached again has been found so.
_PROBED_WITHIN_S: Final = 3.0
PROBE_TIMEOUT_S: Final = 2.0


class Pool:
    """Lives in one event loop. `clock` is in seconds, as deadlines are."""

    def __init__(
        self,
        name: str,
        options: PoolOptions,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.turns = Turns(name, options, clock)
        self._options = options
        self._clock = clock
        self._rng = rng or random.Random()
        self._roster = Roster(options, clock, self._rng)
        self._sends = Attempts(self._roster, options.attempt_timeout_s, clock)
        self._budget = RetryBudget(clock())

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        return self._roster.listed

    @property
    def suspects(self) -> bool:
        """Whether a probe may find out something about some endpoint."""
        return self._roster.suspects

    def follow(self, endpoints: Sequence[ModelEndpoint], options: PoolOptions) -> None:
        """Share requests over these from now on. Those that stay keep all that is known of them."""
        self._options = options
        self._roster.follow(endpoints, options)
        self._sends.limit_s = options.attempt_timeout_s
        self.turns.follow(options)

    async def run(
        self,
        attempt: Attempt[T],
        deadline: float,
        *,
        urgent: bool = False,
        among: Sequence[str] | None = None,
    ) -> T:
        """What `attempt(address, timeout_s)` answers, at one endpoint or another.

        attempt: idempotent; ends within its timeout; raises HanaxError and nothing else.
        among: the addresses that may be asked; None: all.
        Raises what the last attempt raised; Overloaded or RateLimited when it is not this request's
        turn in time; Unavailable, UpstreamFailed, Overloaded or RateLimited when no endpoint may be
        asked in time. Where it is known when to come again, details["retry_after_s"] says so.
        """
        if not self.turns.take_now():
            await self.turns.take(deadline, urgent)
        began = self._clock()
        try:
            return await self._tries(attempt, deadline, among)
        finally:
            self.turns.lasted(self._clock() - began)
            self.turns.give_back()

    async def probe_with(self, probe: Probe, timeout_s: float = PROBE_TIMEOUT_S) -> None:
        """One round: ask each endpoint how it is, but none that asked to be left alone.

        probe: `probe(address, timeout_s)` ends within its timeout; raises HanaxError for an endpoint that
        is not well.
        """
        await self._roster.probe_with(probe, timeout_s)

    def status(self) -> list[EndpointState]:
        """What is known of each endpoint, in the order of the table."""
        return self._roster.status()

    async def _tries(self, attempt: Attempt[T], deadline: float, among: Sequence[str] | None) -> T:
        self._budget.request()
        met: HanaxError | None = None
        tried: list[Endpoint] = []
        barred: list[Endpoint] = []
        # A retry that the budget has to grant. One that waited until an endpoint was back is no storm, and
        # neither is asking each endpoint once.
        charged = False
        # A retry's token, which is kept while another endpoint is looked for.
        granted = False
        while True:
            now = self._clock()
            if now >= deadline:
                raise met or DeadlineExceeded("the request's time is over")
            endpoint = self._roster.choose(among, tried, now)
            if endpoint is None and tried:
                # All that may be asked have been met by this request.
                endpoint = self._roster.choose(among, barred, now)
                if endpoint is not None:
                    await self._pause(len(tried), deadline, met)
                    endpoint = self._roster.choose(among, barred, self._clock())
            if endpoint is None:
                await self._await_endpoint(among, barred, deadline, met)
                charged = False
                continue
            if met is not None and not granted:
                if charged and not self._budget.take(self._clock()):
                    raise met
                await self.turns.take_again(deadline)
                granted = True
                # Much may have happened to the endpoint while that was waited for.
                if not self._roster.may_ask(endpoint, self._clock()):
                    continue
            endpoint.retries += granted
            granted = False
            tried.append(endpoint)
            try:
                if self._options.hedge_after_s is None:
                    return await self._sends.here(attempt, endpoint, deadline)
                return await self._send_hedged(attempt, tried, deadline, among)
            except HanaxError as error:
                verdict = judge(error)
                if not verdict.retry or self._is_last(tried):
                    raise
                met = error
            charged = not verdict.elsewhere
            if verdict.elsewhere:
                barred.append(endpoint)

    def _is_last(self, tried: Sequence[Endpoint]) -> bool:
        """Whether a request that was sent to these has no attempt left."""
        return self._options.max_attempts is not None and len(tried) >= self._options.max_attempts

    async def _send_hedged(
        self, attempt: Attempt[T], tried: list[Endpoint], deadline: float, among: Sequence[str] | None
    ) -> T:
        """Ask a second endpoint too when the latest of `tried` takes long, and put it there.

        The first answer counts, not the first error, and the one that loses is cancelled. Dean & Barroso,
        "The tail at scale".
        """
        one = self._sends.aside(attempt, tried[-1], deadline)
        tasks = {one}
        try:
            await asyncio.wait(tasks, timeout=self._options.hedge_after_s)
            second = None
            if not one.done() and not self._is_last(tried):
                second = self._roster.choose(among, tried, self._clock())
            if second is not None and self.turns.take_token_now() and self._budget.take(self._clock()):
                second.hedges += 1
                tried.append(second)
                tasks.add(self._sends.aside(attempt, second, deadline))
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if task.exception() is None:
                        return task.result()
            return one.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self, attempts: int, deadline: float, met: HanaxError | None) -> None:
        """With full jitter, as many who failed together come again. Raises `met` when there is no time."""
        longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10))
        pause = self._rng.uniform(0.0, longest)
        if met is not None and self._clock() + pause >= deadline:
            raise met
        await asyncio.sleep(pause)

    async def _await_endpoint(
        self,
        among: Sequence[str] | None,
        barred: Sequence[Endpoint],
        deadline: float,
        met: HanaxError | None,
    ) -> None:
        """Return when one may be asked. Raises when that is too late for all that are left."""
        began = self._clock()
        while True:
            now = self._clock()
            left = [endpoint for endpoint in self._roster.named(among) if endpoint not in barred]
            if not left:
                raise met or Unavailable(f"nobody serves {self.name} now")
            if any(endpoint.passes(now) for endpoint in left):
                return
            limits = [(_wait_s(one, now), self._waits_until(one, began, now, deadline)) for one in left]
            hopeful = [(wait_s, until) for wait_s, until in limits if until is not None]
            if not hopeful:
                soonest = min(left, key=lambda endpoint: _wait_s(endpoint, now))
                raise self._refusal(soonest, max(_wait_s(soonest, now), _LEAST_RETRY_S), met)
            timeout_s = max(until for _, until in hopeful) - now
            # One on trial has no time of its own: its end wakes all. Of the others, the soonest counts.
            known = [wait_s for wait_s, _ in hopeful if wait_s > 0]
            if known:
                wait_s = min(known)
                # Not all that wait go at once.
                timeout_s = min(timeout_s, wait_s + self._rng.uniform(0.0, min(wait_s, _FIRST_PAUSE_S)))
            await self._roster.woken(timeout_s)

    def _waits_until(self, endpoint: Endpoint, began: float, now: float, deadline: float) -> float | None:
        """How long a request that has waited since `began` waits for this one; None: no longer."""
        resting = endpoint.rest_s(now) > 0
        if self._options.max_attempts is None and not resting:
            # For the endpoint itself: a probe may find it well sooner than its circuit would try it.
            return deadline if now < deadline else None
        until = deadline if resting else min(deadline, began + _PATIENCE_S)
        return until if now + _wait_s(endpoint, now) < until else None

    def _refusal(self, endpoint: Endpoint, retry_after_s: float, met: HanaxError | None) -> HanaxError:
        """Why nobody may be asked: this request's own failure, else the endpoint's latest."""
        last = endpoint.last_error
        if endpoint.rest_s(self._clock()) == 0 and not isinstance(last, UpstreamFailed):
            # A probe finds it well sooner than its circuit would try it.
            retry_after_s = min(retry_after_s, _PROBED_WITHIN_S)
        after_s = round(retry_after_s, 3)
        if met is not None:
            return type(met)(met.message, **{"retry_after_s": after_s, **met.details})
        kind = next((kind for kind in _KINDS if isinstance(last, kind)), Unavailable)
        if last is None:
            return kind(f"no endpoint of {self.name} takes requests now", retry_after_s=after_s)
        # It says of whom it is; and whether to come again says the time.
        details = {name: value for name, value in last.details.items() if name != "retryable"}
        message = f"{last.message}; no endpoint takes requests now"
        return kind(message, **{**details, "retry_after_s": after_s})


_KINDS: Final = (RateLimited, Overloaded, UpstreamFailed)


def _wait_s(endpoint: Endpoint, now: float) -> float:
    """Until it may be asked, as far as that is known."""
    return max(endpoint.rest_s(now), endpoint.circuit.wait_s(now))
