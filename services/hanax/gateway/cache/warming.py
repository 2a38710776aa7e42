"""Keeping answers before they are asked for: the most frequent requests are asked again.

Where there is a Redis, they are written down there every minute and at the end,
for gateways that start later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from pydantic import BaseModel

from hanax.core.errors import HanaxError, Unavailable
from hanax.gateway.cache.frequent import MAX_REQUESTS, Frequent, Repeated
from hanax.gateway.cache.stores import LASTING, Store, Value
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.requests import parse_request

log = structlog.get_logger()

_KEY: Final = LASTING + b"frequent"
_TTL_S: Final = 7 * 86_400.0
_WRITE_PAUSE_S: Final = 60.0
_MAX_WRITTEN_BYTES: Final = 256 * 1024
# Beside users' requests: no more than two of these at once, and not for longer than this.
_AT_ONCE: Final = 2
_LONGEST_S: Final = 30.0
# A store that is away at the start is waited for so often.
_LOOKS: Final = 50
_LOOK_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that can be asked again."""

    request: type[BaseModel]
    ask: Callable[[Call, Any], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Warmed:
    """asked: answers that are kept now. failed: requests that were refused: their collection may be gone."""

    asked: int
    failed: int


class Warming:
    """For one event loop."""

    def __init__(
        self,
        store: Store,
        frequent: Frequent,
        operations: Mapping[str, Operation],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._frequent = frequent
        self._operations = operations
        self._clock = clock
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Ask what earlier gateways were asked, once `ready`; then write down what is frequent here."""
        self._task = asyncio.ensure_future(self._run(ready))

    async def close(self) -> None:
        """Before the store does."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._write()

    async def warm(self, call: Call, limit: int) -> Warmed:
        """Ask the most frequent requests, of this gateway and of those that wrote theirs down.

        Raises Unauthenticated, PermissionDenied, and Unavailable while the store is away: no answer would be
        kept.
        """
        with self._metrics.changing("warm_cache", None, call):
            call.caller.require_all(Scope.ADMIN, "the cache")
            if await self._store.read([_KEY]) is None:
                raise Unavailable("the cache's store is away: nothing can be kept now")
            found = {(one.operation, one.body): one for one in await self._read()}
            for one in self._frequent.most(limit):
                found[one.operation, one.body] = one
            most = sorted(found.values(), key=lambda one: -one.count)[:limit]
            return await self._ask_all(most)

    async def _run(self, ready: Callable[[], bool]) -> None:
        for _ in range(_LOOKS):
            if ready() and (found := await self._read()):
                warmed = await self._ask_all(found)
                log.info("warmed", asked=warmed.asked, failed=warmed.failed)
                break
            await asyncio.sleep(_LOOK_PAUSE_S)
        while True:
            await asyncio.sleep(_WRITE_PAUSE_S)
            await self._write()

    async def _ask_all(self, requests: Sequence[Repeated]) -> Warmed:
        slots = asyncio.Semaphore(_AT_ONCE)
        ended = {"asked": 0, "failed": 0}

        async def ask(one: Repeated) -> None:
            async with slots:
                ended["asked" if await self._ask(one) else "failed"] += 1

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_S):
                await asyncio.gather(*map(ask, requests))
        return Warmed(ended["asked"], ended["failed"])

    async def _ask(self, one: Repeated) -> bool:
        operation = self._operations.get(one.operation)
        if operation is None:
            return False
        try:
            request = parse_request(operation.request, orjson.loads(one.body))
            await operation.ask(Call("warming", self._clock), request)
        except (HanaxError, ValueError):
            return False
        return True

    async def _read(self) -> list[Repeated]:
        """Empty for what no gateway wrote."""
        found = await self._store.read([_KEY])
        if not found or found[0] is None:
            return []
        try:
            rows = orjson.loads(found[0])
            return [Repeated(str(name), str(body).encode(), int(count)) for name, body, count in rows]
        except (TypeError, ValueError):
            return []

    async def _write(self) -> None:
        """What is written down counts half by now, so that it makes room in the end."""
        count_by_request = {(one.operation, one.body): one.count // 2 for one in await self._read()}
        for one in self._frequent.most(MAX_REQUESTS):
            request = (one.operation, one.body)
            count_by_request[request] = max(one.count, count_by_request.get(request, 0))
        most = sorted(count_by_request.items(), key=lambda item: -item[1])[:MAX_REQUESTS]
        rows = [[name, body.decode(), count] for (name, body), count in most if count]
        while rows and len(raw := orjson.dumps(rows)) > _MAX_WRITTEN_BYTES:
            rows = rows[: len(rows) // 2]
        if rows:
            self._store.keep(_KEY, Value(raw, _TTL_S))
