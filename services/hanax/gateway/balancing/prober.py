"""Rounds of probes of a pool, for as long as it is open."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from hanax.gateway.balancing.pool import Pool

log = structlog.get_logger()

# One that is away is back in service within seconds; those that are well are asked seldom.
_SUSPECTED_EVERY_S: Final = 1.0
_WELL_EVERY_S: Final = 10.0
_JITTER: Final = 0.2


class Prober:
    """Gateways that started together do not probe together: each pause has jitter."""

    def __init__(
        self,
        pool: Pool,
        probe: Callable[[str, float], Awaitable[None]],
        rng: random.Random,
    ) -> None:
        """probe: `probe(address, timeout_s)` ends within its timeout, or raises HanaxError."""
        self._pool = pool
        self._probe = probe
        self._rng = rng
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Probe in the running event loop. Does nothing where it does already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._rounds())

    def close(self) -> None:
        """No more rounds; the one under way is cancelled."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _rounds(self) -> None:
        since_s = _WELL_EVERY_S
        while True:
            if self._pool.suspects or since_s >= _WELL_EVERY_S:
                since_s = 0.0
                try:
                    await self._pool.probe_with(self._probe)
                except Exception:
                    # A defect of one probe must not end them all, unseen.
                    log.exception("probes failed", pool=self._pool.name)
            pause_s = _SUSPECTED_EVERY_S * self._rng.uniform(1.0 - _JITTER, 1.0 + _JITTER)
            await asyncio.sleep(pause_s)
            since_s += pause_s
