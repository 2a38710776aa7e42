"""What was asked of the platform, and its cache."""

from __future__ import annotations

from typing import Any

from hxp_vector_client._stubs import platform_pb2 as pb
from hxp_vector_client.grpc_codec.values import instant
from hxp_vector_client.requests import Request


def operations(request: Request) -> pb.ListOperationsRequest:
    query = request.query
    return pb.ListOperationsRequest(
        collection=query.get("collection") or "",
        operation=query.get("operation") or "",
        outcome=query.get("outcome") or "",
        limit=query.get("limit"),
        cursor=query.get("cursor") or "",
    )


def read_operations(answer: pb.ListOperationsResponse, _: Request) -> dict[str, Any]:
    return {
        "operations": [
            {
                "id": one.id,
                "at": instant(one.at_us),
                "duration_ms": one.duration_us / 1e3,
                "operation": one.operation,
                "collection": one.collection or None,
                "actor": one.actor,
                "outcome": one.outcome,
                "items": one.items,
                "request_id": one.request_id,
                "instance": one.instance,
            }
            for one in answer.operations
        ],
        "next_cursor": answer.next_cursor or None,
        "dropped": answer.dropped,
        "waiting": answer.waiting,
    }


def cache_stats(_: Request) -> pb.GetCacheStatsRequest:
    return pb.GetCacheStatsRequest()


def read_cache_stats(answer: pb.GetCacheStatsResponse, _: Request) -> dict[str, Any]:
    return {
        "backend": answer.backend,
        "state": answer.state,
        "keeps_searches": answer.keeps_searches,
        "entries": answer.entries if answer.HasField("entries") else None,
        "bytes": answer.bytes if answer.HasField("bytes") else None,
        **_rate(answer.total),
        "operations": {name: _rate(rate) for name, rate in answer.operations.items()},
        "frequent_requests": answer.frequent_requests,
    }


def warm_cache(request: Request) -> pb.WarmCacheRequest:
    return pb.WarmCacheRequest(limit=request.query.get("limit"))


def read_warmed(answer: pb.WarmCacheResponse, _: Request) -> dict[str, Any]:
    return {"asked": answer.asked, "failed": answer.failed}


def clear_cache(_: Request) -> pb.ClearCacheRequest:
    return pb.ClearCacheRequest()


def read_cleared(answer: pb.ClearCacheResponse, _: Request) -> dict[str, Any]:
    return {"entries": answer.entries}


def _rate(rate: pb.CacheRate) -> dict[str, Any]:
    hit_rate = rate.hit_rate if rate.HasField("hit_rate") else None
    return {"hits": rate.hits, "misses": rate.misses, "hit_rate": hit_rate}
