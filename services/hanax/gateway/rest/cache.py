"""/cache: what is kept, filling it, and forgetting it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.cache.cache import Cache
from hanax.gateway.cache.frequent import MAX_REQUESTS
from hanax.gateway.cache.warming import Warming
from hanax.gateway.renderings.cache import render_stats
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.openapi import ERRORS
from hanax.gateway.schemas import service as service_schemas
from hanax.gateway.schemas.envelopes import Envelope


def cache_routes(cache: Cache, warming: Warming) -> APIRouter:
    router = APIRouter(prefix="/cache", tags=["cache"], responses=ERRORS)

    @router.get("/stats", response_model=Envelope[service_schemas.CacheStats])
    async def stats(request: Request) -> Response:
        """Hits and misses of this gateway since it started, and what the store holds.

        In Redis, entries and bytes are those of the whole server.
        """
        return answer(request, render_stats(await cache.stats(call_of(request))))

    @router.post("/warm", response_model=Envelope[service_schemas.CacheWarmed])
    async def warm(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_REQUESTS, description="requests that are asked again")] = 32,
    ) -> Response:
        """Ask the most frequent requests again, so that their answers are kept when it returns.

        503 unavailable while the store is away.
        """
        done = await warming.warm(call_of(request), limit)
        return answer(request, {"asked": done.asked, "failed": done.failed})

    @router.delete("", response_model=Envelope[service_schemas.CacheCleared])
    async def clear(request: Request) -> Response:
        """Forget all that is kept, for all gateways that share it.

        503 unavailable while the store is away.
        """
        return answer(request, {"entries": await cache.clear(call_of(request))})

    return router
