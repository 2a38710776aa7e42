"""grpc.health.v1: ready when REST says so at /ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthServicer

from hanax.gateway.readiness import Readiness

# How often whoever watches is told of a change.
_LOOK_EVERY_S: Final = 1.0
# Who watches needs no key: past these one is told how it is, and no more; and none longer than this, so that
# nobody keeps the places of calls. A client whose stream ends begins another.
MOST_WATCHERS: Final = 64
_LONGEST_WATCH_S: Final = 3_600.0

_Status = health_pb2.HealthCheckResponse.ServingStatus
_Context = aio.ServicerContext[Any, Any]


class Health(HealthServicer):  # type: ignore[misc]  # grpc_health has no types
    def __init__(self, readiness: Readiness, services: Iterable[str]) -> None:
        """services: those that are asked after by name; the server as a whole has none."""
        self._readiness = readiness
        self._known = frozenset(("", *services))
        self._watchers = 0
        self.leaving = asyncio.Event()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in self._known:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service[:80]!r}")
        return health_pb2.HealthCheckResponse(status=await self._status(request.service))

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        if self._watchers >= MOST_WATCHERS:
            yield health_pb2.HealthCheckResponse(status=await self._status(request.service))
            return
        self._watchers += 1
        try:
            async for status in self._changes(request.service):
                yield health_pb2.HealthCheckResponse(status=status)
        finally:
            self._watchers -= 1

    async def _changes(self, service: str) -> AsyncIterator[Any]:
        """How it is, and whenever that changes, for as long as one may watch."""
        clock = asyncio.get_running_loop().time
        ends, told = clock() + _LONGEST_WATCH_S, None
        while clock() < ends:
            status = await self._status(service)
            if status != told:
                yield status
                told = status
            if self.leaving.is_set():
                return
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self.leaving.wait()
            except TimeoutError:
                continue

    async def _status(self, service: str) -> Any:
        if service not in self._known:
            return _Status.SERVICE_UNKNOWN
        if self.leaving.is_set() or not (await self._readiness.report()).ready:
            return _Status.NOT_SERVING
        return _Status.SERVING
