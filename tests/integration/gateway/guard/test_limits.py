"""Rate limits of callers: exact headers, one bucket for all gateways in Redis, and none lost with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.guard.caller import Rate
from hanax.gateway.guard.limits import LocalBuckets, RateState
from hanax.gateway.guard.redis_buckets import RedisBuckets
from hanax.rpc.errors import error_from_call
from tests.integration.gateway.cache.redis_server import RedisServer
from tests.integration.gateway.cache.test_redis_link import linked
from tests.integration.gateway.guard.conftest import Guarded, guarded, guarded_settings
from tests.integration.gateway.stack import GatewayProcess, running_stack
from tests.integration.gateway.vector_service.client import connected
from tests.integration.waiting import wait_until

LIST = "/api/v1/collections"
# So slow that a test sees no token come.
SLOW = {"requests_per_s": 0.001, "burst": 3}


def test_a_bucket_fills_as_time_passes() -> None:
    now = [0.0]
    buckets = LocalBuckets(lambda: now[0])
    rate = Rate(per_s=2.0, burst=4)
    states = [RateState.of(rate, buckets.take("a", rate)) for _ in range(5)]
    assert [(one.granted, one.remaining, one.reset_s) for one in states] == [
        (True, 3, 1),
        (True, 2, 1),
        (True, 1, 2),
        (True, 0, 2),
        (False, 0, 2),
    ]
    assert states[-1].retry_after_s == 0.5
    now[0] = 0.75
    half = RateState.of(rate, buckets.take("a", rate))
    assert (half.granted, half.remaining, half.reset_s) == (True, 0, 2)
    assert buckets.take("b", rate).tokens == 3.0
    now[0] = 1_000.0
    assert buckets.take("a", rate).tokens == 3.0
    # A clock that goes back takes nothing away.
    now[0] = 0.0
    assert buckets.take("a", rate).tokens == 2.0


def headers(answer: httpx.Response) -> tuple[str | None, ...]:
    names = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After")
    return tuple(answer.headers.get(name) for name in names)


def check_limit(guard: Guarded) -> None:
    """Of a new key: three requests, then refusals, through both doors and in every answer."""
    made = guard.make({"scopes": ["read"]}, rate=SLOW)
    asking = guard.caller(made["key"])
    assert headers(asking.client.get(LIST)) == ("3", "2", "1000", None)
    absent = asking.client.get("/api/v1/nothing")
    assert (absent.status_code, headers(absent)[:2]) == (404, ("3", "1"))
    with connected(guard.stack) as service:
        call = service.ListCollections.with_call(
            pb.ListCollectionsRequest(), metadata=(("x-api-key", made["key"]),)
        )[1]
        told = dict(call.trailing_metadata())
        assert (told["ratelimit-limit"], told["ratelimit-remaining"]) == ("3", "0")
        with pytest.raises(grpc.RpcError) as refusal:
            service.ListCollections(pb.ListCollectionsRequest(), metadata=(("x-api-key", made["key"]),))
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_from_call(refusal.value).code == "rate_limited"
    refused = asking.client.get(LIST)
    limit, remaining, reset, after = headers(refused)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert (limit, remaining) == ("3", "0")
    assert 2_900 < int(reset or 0) <= 3_000
    assert 900 < int(after or 0) <= 1_000
    # Nobody else is slowed down, and who has no limit is told none.
    free = guard.client.get(LIST)
    assert (free.status_code, headers(free)) == (200, (None, None, None, None))


def test_a_key_has_its_own_limit(guard: Guarded) -> None:
    check_limit(guard)


def test_tokens_come_back(guard: Guarded) -> None:
    asking = guard.caller(guard.key("read", rate={"requests_per_s": 2, "burst": 1}))
    assert asking.client.get(LIST).status_code == 200
    began = time.monotonic()
    wait_until("a token", lambda: asking.client.get(LIST).status_code == 200)
    assert time.monotonic() - began > 0.2


def test_a_limit_for_keys_that_have_none(tmp_path: Path) -> None:
    settings = {**guarded_settings(tmp_path), "rate_per_s": 0.01, "rate_burst": 2}
    with running_stack(tmp_path, **settings) as stack, guarded(stack) as guard:
        # The administrator's key is counted too; services are not.
        assert [guard.client.get(LIST).status_code for _ in range(3)] == [200, 200, 429]
        service = guard.caller(guard.service_key)
        assert {service.client.get(LIST).status_code for _ in range(5)} == {200}
        assert stack.gateway.process.poll() is None


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.close()


def test_gateways_share_buckets_in_redis(tmp_path: Path, redis_server: RedisServer) -> None:
    settings = {**guarded_settings(tmp_path), "redis_url": redis_server.url, "redis_patience_s": 5}
    with running_stack(tmp_path, **settings) as stack, guarded(stack) as guard:
        wait_until("Redis is found", lambda: _backend(guard) == ("redis", "ok"))
        check_limit(guard)
        (tmp_path / "other").mkdir()
        own = {"routing_file": tmp_path / "routing.json", "catalog_dir": tmp_path / "catalog"}
        other = GatewayProcess(tmp_path / "other", **settings, **own)
        try:
            with httpx.Client(base_url=other.url, timeout=30.0) as client:
                admin = {"X-API-Key": guard.admin_key}
                wait_until(
                    "Redis is found by the other",
                    lambda: client.get("/cache/stats", headers=admin).json()["data"]["state"] == "ok",
                )
                key = {"X-API-Key": guard.key("read", rate=SLOW)}
                told = []
                for _ in range(2):
                    told.append(headers(client.get(LIST, headers=key))[1])
                    told.append(headers(guard.caller(key["X-API-Key"]).client.get(LIST))[1])
                assert told == ["2", "1", "0", "0"]
                assert client.get(LIST, headers=key).status_code == 429
        finally:
            other.close()
        # Without Redis each gateway counts for itself, and refuses nobody for that.
        redis_server.kill()
        assert guard.caller(key["X-API-Key"]).client.get(LIST).status_code == 200
        check_limit(guard)


@pytest.mark.parametrize("per_s", [1e-8, 1e-300])
async def test_no_rate_takes_the_link_to_redis_down(redis_server: RedisServer, per_s: float) -> None:
    """It is the cache's too, for everybody."""
    async with linked(redis_server.url, patience_s=60.0) as link:
        buckets = RedisBuckets(link, "test")
        taken = [await buckets.take("a", Rate(per_s, 1_000_000)) for _ in range(2)]
        assert [one and (one.granted, one.tokens) for one in taken] == [(True, 999_999.0), (True, 999_998.0)]
        assert link.up


def _backend(guard: Guarded) -> tuple[str, str]:
    found = guard.stack.data(guard.client.get("/cache/stats"))
    return found["backend"], found["state"]
