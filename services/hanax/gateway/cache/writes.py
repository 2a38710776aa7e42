"""Writes to shards, which make a collection's kept answers void before they are acknowledged.

It makes no difference how a write ends: one that was refused may have been made in part, and one that nobody
answered may still be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hanax.core.errors import DeadlineExceeded, HanaxError, Unavailable
from hanax.core.routing import CollectionRoute
from hanax.gateway.cache.versions import Versions
from hanax.gateway.calls import Call
from hanax.gateway.shards import Answer, Method, Question, Shards

_IN_DOUBT = (Unavailable, DeadlineExceeded)


@dataclass(slots=True)
class _Ending:
    in_doubt: bool = True


class ShardWrites:
    def __init__(self, shards: Shards, versions: Versions) -> None:
        self._shards = shards
        self._versions = versions
        self._renewals: set[asyncio.Task[None]] = set()

    async def tell(
        self,
        call: Call,
        route: CollectionRoute,
        method: Method[Question, Answer],
        orders: Mapping[int, Question],
    ) -> dict[int, Answer | HanaxError]:
        """As `Shards.tell`."""
        async with self._writing(call, route) as ending:
            ended = await self._shards.tell(call, route, method, orders)
            ending.in_doubt = any(isinstance(end, _IN_DOUBT) for end in ended.values())
            return ended

    async def tell_one(
        self,
        call: Call,
        route: CollectionRoute,
        method: Method[Question, Answer],
        orders: Mapping[int, Question],
    ) -> Answer:
        """Give the one shard of `orders` its order. Raises how it ended."""
        (end,) = (await self.tell(call, route, method, orders)).values()
        if isinstance(end, HanaxError):
            raise end
        return end

    @asynccontextmanager
    async def _writing(self, call: Call, route: CollectionRoute) -> AsyncIterator[_Ending]:
        ending = _Ending()
        # Cut short it would be in doubt, and nothing would be kept of the collection for a while.
        call.must_end = True
        try:
            yield ending
        finally:
            # A task of its own: a caller who goes away leaves answers that must not be given.
            end = self._versions.doubt if ending.in_doubt else self._versions.renew
            task = asyncio.ensure_future(end(route.uid))
            self._renewals.add(task)
            task.add_done_callback(self._renewals.discard)
            with call.waiting("cache"):
                await asyncio.shield(task)
