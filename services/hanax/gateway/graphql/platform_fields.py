"""Queries and mutations for those who run the platform."""

from __future__ import annotations

from typing import Annotated, Any, Final

import strawberry

from hanax.gateway.graphql import inputs
from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost, ListSize
from hanax.gateway.graphql.fields import answers
from hanax.gateway.graphql.inputs import Told
from hanax.gateway.graphql.platform_types import named_rates
from hanax.gateway.graphql.types import TYPES
from hanax.gateway.guard.rights import NewKey, RotateKey
from hanax.gateway.list_requests import OperationListRequest, PageRequest, WarmRequest
from hanax.gateway.renderings.cache import render_stats
from hanax.gateway.renderings.keys import render_key
from hanax.gateway.renderings.operations import render_history
from hanax.gateway.requests import parse_request
from hanax.metadata.operations.operation import Wanted

_LIST: Final = Cost(weight=10)
_WRITE: Final = Cost(weight=100)
# As many requests as are asked again.
_WARM: Final = Cost(weight=2_000)


def _sized(field: str) -> ListSize:
    return ListSize(assumed_size=100, slicing_arguments=["limit"], sized_fields=[field])


@strawberry.type
class PlatformQueries:
    @answers(TYPES.platform.keys, "API keys, the newest first, for administrators", _LIST, _sized("keys"))
    async def keys(self, info: Info, limit: int = 100, cursor: str | None = None) -> Any:
        asked = parse_request(PageRequest, {"limit": limit, "cursor": cursor})
        async with info.context.part("keys") as call:
            page = await info.context.services.api_keys.page(call, asked.limit, asked.cursor)
        return {"keys": [render_key(one) for one in page.keys], "next_cursor": page.next_cursor}

    @answers(TYPES.platform.key, "One API key", _LIST)
    async def key(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("key") as call:
            return render_key(await info.context.services.api_keys.get(call, id))

    @answers(
        TYPES.platform.operations,
        "What was asked of vectors and collections, the newest first",
        _LIST,
        _sized("operations"),
    )
    async def operations(
        self,
        info: Info,
        collection: str | None = None,
        operation: str | None = None,
        outcome: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Any:
        told = {"collection": collection, "operation": operation, "outcome": outcome}
        asked = parse_request(OperationListRequest, {**told, "limit": limit, "cursor": cursor})
        wanted = Wanted(asked.collection, asked.operation, asked.outcome)
        async with info.context.part("operations") as call:
            page = await info.context.services.history.page(call, wanted, asked.limit, asked.cursor)
        return render_history(page)

    @answers(
        TYPES.platform.cache, "Hits and misses of the gateway that answers, and what its store holds", _LIST
    )
    async def cache(self, info: Info) -> Any:
        async with info.context.part("cache") as call:
            return named_rates(render_stats(await info.context.services.cache.stats(call)))


@strawberry.type
class PlatformMutations:
    @answers(TYPES.platform.told_key, "Make an API key; the answer is the only one that holds it", _WRITE)
    async def create_key(self, info: Info, input: Annotated[Told, inputs.KEY]) -> Any:
        asked = parse_request(NewKey, input)
        async with info.context.part("createKey") as call:
            return render_key(await info.context.services.api_keys.create(call, asked))

    @answers(
        TYPES.platform.told_key, "Give a key another secret; the one before stays good for graceS", _WRITE
    )
    async def rotate_key(self, info: Info, id: strawberry.ID, grace_s: float | None = None) -> Any:
        asked = parse_request(RotateKey, {} if grace_s is None else {"grace_s": grace_s})
        async with info.context.part("rotateKey") as call:
            return render_key(await info.context.services.api_keys.rotate(call, id, asked))

    @answers(TYPES.platform.key, "Revoke a key for good", _WRITE)
    async def revoke_key(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("revokeKey") as call:
            return render_key(await info.context.services.api_keys.revoke(call, id))

    @answers(TYPES.platform.warmed, "Ask the most frequent requests again, so that answers are kept", _WARM)
    async def warm_cache(self, info: Info, limit: int = 32) -> Any:
        asked = parse_request(WarmRequest, {"limit": limit})
        async with info.context.part("warmCache") as call:
            done = await info.context.services.warming.warm(call, asked.limit)
        return {"asked": done.asked, "failed": done.failed}

    @answers(TYPES.platform.cleared, "Forget all that is kept, for all gateways that share it", _WRITE)
    async def clear_cache(self, info: Info) -> Any:
        async with info.context.part("clearCache") as call:
            return {"entries": await info.context.services.cache.clear(call)}
