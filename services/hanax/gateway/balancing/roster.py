"""The endpoints of a pool: which of them takes the next request, who is ejected, who is probed.

Circuits that are open and endpoints that asked to be left alone are passed over always. Ejected ones
(outliers, and those whose probes fail) are passed over while others are there, and no more than half of
the endpoints are ejected at once: as in Envoy, a pool that finds fault with everyone doubts itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from hanax.core.errors import HanaxError
from hanax.core.model_routes import ModelEndpoint
from hanax.gateway.balancing.addresses import shown_addresses
from hanax.gateway.balancing.endpoints import Endpoint, EndpointState
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.policies import POLICIES

Probe = Callable[[str, float], Awaitable[None]]

# While some endpoint is not well, how often it is looked whether all are again.
_LOOK_S: Final = 0.25


class Roster:
    """Lives in one event loop. `clock` is in seconds."""

    def __init__(self, options: PoolOptions, clock: Callable[[], float], rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._policy = POLICIES[options.policy]
        self._endpoints: dict[str, Endpoint] = {}
        self.listed: tuple[Endpoint, ...] = ()
        self._turn = 0
        # Some endpoint may not be well. Otherwise nobody is looked at before one is chosen.
        self._troubled = False
        self._looked_at = 0.0
        self._changed = asyncio.Event()

    @property
    def suspects(self) -> bool:
        """Whether a probe may find out something about some endpoint."""
        now = self._clock()
        return any(endpoint.suspected(now) for endpoint in self.listed)

    def follow(self, endpoints: Sequence[ModelEndpoint], options: PoolOptions) -> None:
        """Choose among these from now on. Those that stay keep all that is known of them."""
        followed: dict[str, Endpoint] = {}
        for wanted in endpoints:
            endpoint = followed.get(wanted.address) or self._endpoints.get(wanted.address)
            if endpoint is None:
                endpoint = Endpoint(wanted.address, wanted.weight, options.breaker)
            endpoint.weight = wanted.weight
            endpoint.circuit.breaker = options.breaker
            followed[wanted.address] = endpoint
        self._endpoints = followed
        self.listed = tuple(followed.values())
        for endpoint, shown in zip(self.listed, shown_addresses(followed), strict=True):
            endpoint.shown = shown
        self._policy = POLICIES[options.policy]
        self.wake()

    def choose(
        self, among: Sequence[str] | None, left_out: Sequence[Endpoint], now: float
    ) -> Endpoint | None:
        """Who takes a request now; None: nobody may. among: addresses; None: all."""
        found = self.named(among)
        if left_out:
            found = [endpoint for endpoint in found if endpoint not in left_out]
        if self._troubled:
            passing = [endpoint for endpoint in found if endpoint.passes(now)]
            found = [endpoint for endpoint in passing if not endpoint.ejected(now)] or passing
            if now >= self._looked_at + _LOOK_S:
                self._looked_at = now
                self._troubled = not all(endpoint.well(now) for endpoint in self.listed)
        if len(found) < 2:
            return found[0] if found else None
        return self._policy(found, self._rng, now)

    def named(self, among: Sequence[str] | None) -> Sequence[Endpoint]:
        """Those of the addresses that are known; None: all."""
        if among is None:
            return self.listed
        return [self._endpoints[address] for address in among if address in self._endpoints]

    def may_ask(self, endpoint: Endpoint, now: float) -> bool:
        """Whether it, chosen a while ago, still takes requests."""
        return endpoint in self.listed and endpoint.passes(now)

    def begin(self, endpoint: Endpoint) -> bool:
        """An attempt goes to it; whether that is the trial of its circuit."""
        self._turn += 1
        return endpoint.begin(self._turn)

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """Something is known against it: eject it if that is too much."""
        if endpoint.outlying and not endpoint.ejected(now) and self._may_eject(now):
            endpoint.eject(now)
        if not endpoint.well(now):
            self._troubled = True

    async def probe_with(self, probe: Probe, timeout_s: float) -> None:
        """Ask each endpoint how it is, but none that asked to be left alone."""
        now = self._clock()
        asked = [endpoint for endpoint in self.listed if endpoint.rest_s(now) == 0.0]
        await asyncio.gather(*(self._probe(probe, endpoint, timeout_s) for endpoint in asked))
        if self._troubled:
            self.wake()

    def wake(self) -> None:
        """Whoever waits for an endpoint looks again."""
        self._troubled = True
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def woken(self, timeout_s: float) -> bool:
        """Wait for that; whether it came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def status(self) -> list[EndpointState]:
        now, wall = self._clock(), time.time()
        return [endpoint.describe(now, wall) for endpoint in self.listed]

    async def _probe(self, probe: Probe, endpoint: Endpoint, timeout_s: float) -> None:
        failure: HanaxError | None = None
        try:
            await probe(endpoint.address, timeout_s)
        except HanaxError as error:
            failure = error
        now = self._clock()
        if endpoint.probed(failure, now) and self._may_eject(now):
            endpoint.eject_unanswering()
        if failure is not None:
            self._troubled = True

    def _may_eject(self, now: float) -> bool:
        """At most half of the endpoints, and never the only one."""
        ejected = sum(endpoint.ejected(now) for endpoint in self.listed)
        return ejected < len(self.listed) // 2
