"""Which of several operators acts: the holder of a Lease.

A leader renews its Lease at a sixth of its time. One that could not for two thirds steps down, before anybody
else may step up: the remaining third is what clocks and requests may be off by. Stepping down ends the
process, so that nothing that was begun goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from hanax.core.errors import HanaxError
from hanax_operator.api import Api
from hanax_operator.objects import LEASE, Manifest, key

log = structlog.get_logger()


class LeadershipLost(Exception):
    """Another operator may act by now."""


class Leadership:
    """`clock_s` is monotonic; times of other holders are never compared with it, only seen to change."""

    def __init__(
        self, api: Api, name: str, identity: str, lease_s: float, clock_s: Callable[[], float]
    ) -> None:
        self._api = api
        self._name = name
        self._identity = identity
        self._lease_s = lease_s
        self._clock_s = clock_s
        self._seen: tuple[Any, float] = (None, clock_s())

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while True:
            try:
                if await self._try():
                    log.info("leading", identity=self._identity)
                    return
            except HanaxError as error:
                log.warning("lease not acquired", error=error.message)
            await asyncio.sleep(self._lease_s / 6)

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeadershipLost."""
        renewed = self._clock_s()
        while True:
            await asyncio.sleep(self._lease_s / 6)
            begun = self._clock_s()
            left = renewed + self._lease_s * 2 / 3 - begun
            try:
                async with asyncio.timeout(max(left, 0)):
                    held = await self._try()
            except (HanaxError, TimeoutError) as error:
                log.warning("lease not renewed", error=str(error) or "no answer in time")
                if self._clock_s() - renewed >= self._lease_s * 2 / 3:
                    raise LeadershipLost("the lease could not be renewed") from None
                continue
            if not held:
                raise LeadershipLost("another operator holds the lease")
            renewed = begun

    async def release(self) -> None:
        """Let the next one lead at once. What the API server says to that does not matter any more."""
        try:
            async with asyncio.timeout(self._lease_s / 3):
                lease = await self._api.get(key(LEASE, self._name))
                if lease is not None and (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                    await self._api.replace(self._with_spec(lease, {"holderIdentity": ""}))
        except (HanaxError, TimeoutError):
            return

    async def _try(self) -> bool:
        """Create, renew or take over the Lease. False: someone else holds it."""
        lease = await self._api.get(key(LEASE, self._name))
        now = _micro_time()
        mine = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(int(self._lease_s), 1),
            "renewTime": now,
        }
        if lease is None:
            manifest = {
                "apiVersion": LEASE.api_version,
                "kind": LEASE.kind,
                "metadata": {"name": self._name, "namespace": self._api.namespace},
                "spec": {**mine, "acquireTime": now, "leaseTransitions": 0},
            }
            await self._api.create(manifest)
            return True
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") == self._identity:
            await self._api.replace(self._with_spec(lease, mine))
            return True
        if spec.get("holderIdentity") and not self._is_expired(spec):
            return False
        transitions = int(spec.get("leaseTransitions") or 0) + 1
        taken = {**mine, "acquireTime": now, "leaseTransitions": transitions}
        await self._api.replace(self._with_spec(lease, taken))
        return True

    def _is_expired(self, spec: Manifest) -> bool:
        """Whether the holder was silent for its time, as measured here."""
        mark = (spec.get("holderIdentity"), spec.get("renewTime"))
        now = self._clock_s()
        if self._seen[0] != mark:
            self._seen = (mark, now)
        return now - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._lease_s)

    def _with_spec(self, lease: Manifest, spec: dict[str, Any]) -> Manifest:
        return {**lease, "spec": {**(lease.get("spec") or {}), **spec}}


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
