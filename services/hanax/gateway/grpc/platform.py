"""PlatformService: what was asked of vectors, and the cache."""

from __future__ import annotations

from citadel.vector.v1 import platform_pb2 as pb
from hanax.gateway.cache.cache import Cache, Rate
from hanax.gateway.cache.warming import Warming
from hanax.gateway.calls import Call
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.history import History
from hanax.gateway.list_requests import OperationListRequest, WarmRequest
from hanax.gateway.requests import parse_request
from hanax.metadata.operations.operation import Noted, Wanted


def platform_methods(history: History, cache: Cache, warming: Warming) -> Methods:
    async def operations(call: Call, question: pb.ListOperationsRequest) -> pb.ListOperationsResponse:
        asked = parse_request(OperationListRequest, read_message(question))
        wanted = Wanted(asked.collection, asked.operation, asked.outcome)
        page = await history.page(call, wanted, asked.limit, asked.cursor)
        return pb.ListOperationsResponse(
            operations=map(_operation, page.operations),
            next_cursor=page.next_cursor or "",
            dropped=page.dropped,
            waiting=page.waiting,
        )

    async def stats(call: Call, question: pb.GetCacheStatsRequest) -> pb.GetCacheStatsResponse:
        found = await cache.stats(call)
        return pb.GetCacheStatsResponse(
            backend=found.store.backend,
            state=found.store.state,
            keeps_searches=found.keeps_searches,
            entries=found.store.entries,
            bytes=found.store.used_bytes,
            total=_rate(found.total),
            operations={name: _rate(rate) for name, rate in found.operations.items()},
            frequent_requests=found.frequent,
        )

    async def warm(call: Call, question: pb.WarmCacheRequest) -> pb.WarmCacheResponse:
        asked = parse_request(WarmRequest, read_message(question))
        done = await warming.warm(call, asked.limit)
        return pb.WarmCacheResponse(asked=done.asked, failed=done.failed)

    async def clear(call: Call, question: pb.ClearCacheRequest) -> pb.ClearCacheResponse:
        return pb.ClearCacheResponse(entries=await cache.clear(call))

    return {
        "ListOperations": Unary(pb.ListOperationsRequest, operations),
        "GetCacheStats": Unary(pb.GetCacheStatsRequest, stats),
        "WarmCache": Unary(pb.WarmCacheRequest, warm, changes=True),
        "ClearCache": Unary(pb.ClearCacheRequest, clear, changes=True),
    }


def _operation(noted: Noted) -> pb.Operation:
    operation = noted.operation
    return pb.Operation(
        id=noted.id,
        at_us=operation.at_us,
        duration_us=operation.duration_us,
        operation=operation.operation,
        collection=operation.collection,
        actor=operation.actor,
        outcome=operation.outcome,
        items=operation.items,
        request_id=operation.request_id,
        instance=noted.instance,
    )


def _rate(rate: Rate) -> pb.CacheRate:
    return pb.CacheRate(hits=rate.hits, misses=rate.misses, hit_rate=rate.hit_rate)
