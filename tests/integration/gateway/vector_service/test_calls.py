"""What holds for every call: ids, times, limits, clients that go away, and the end of the gateway."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.limits import MAX_CALL_BYTES, MAX_MESSAGE_BYTES
from hanax.gateway.grpc.health import MOST_WATCHERS
from hanax.gateway.grpc.reflection import MOST_STREAMS
from tests.integration.gateway.stack import GatewayProcess, Stack, running_stack
from tests.integration.gateway.vector_service.client import (
    TIMEOUT_S,
    connected,
    insertion,
    refused,
)
from tests.integration.waiting import wait_until

# Longer than any of these tests may take: a call that waits for it hangs.
_LONG_S = 600.0

_Status = health_pb2.HealthCheckResponse.ServingStatus


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """With two places, and shards that can be made slow."""
    with running_stack(tmp_path, max_inflight=2, drain_grace_s=20) as stack:
        stack.create("docs", shards=1)
        yield stack


@pytest.fixture
def own_service(own: Stack) -> Iterator[VectorServiceStub]:
    with connected(own) as stub:
        yield stub


def _delay(stack: Stack, seconds: float) -> None:
    for node in stack.nodes:
        node.faults.delay_s = seconds


def _calls(stack: Stack, method: str) -> int:
    return sum(node.calls[method] for node in stack.nodes)


def _wait_until_asked(stack: Stack, times: int) -> None:
    wait_until("the shard is asked", lambda: _calls(stack, "Scroll") >= times)


def _points(stack: Stack) -> int:
    return sum(len(points) for node in stack.nodes for points in node.shards.values())


def test_a_call_is_told_its_id_and_where_its_time_went(bad_service: VectorServiceStub) -> None:
    request = pb.GetCollectionRequest(name="bad")
    _, call = bad_service.GetCollection.with_call(request, metadata=(("x-request-id", "mine"),))
    told = _trailing(call)
    assert told["x-request-id"] == "mine"
    assert re.fullmatch(r"total;dur=[\d.]+, gateway;dur=[\d.]+, shard;dur=[\d.]+", told["server-timing"])
    request = pb.GetCollectionRequest(name="nope")
    with pytest.raises(grpc.RpcError) as failure:
        bad_service.GetCollection(request, metadata=(("x-request-id", "x" * 129),))
    assert re.fullmatch(r"[0-9a-f]{32}", _trailing(failure.value)["x-request-id"])


def _trailing(call: Any) -> dict[str, str]:
    return dict(call.trailing_metadata())


def test_calls_are_counted_by_how_they_end(unwritten: Stack, bad_service: VectorServiceStub) -> None:
    with refused():
        bad_service.InsertVectors(insertion("nope", [{"vector": [1]}]), timeout=TIMEOUT_S)
    metrics = unwritten.client.get("/metrics").text
    assert re.search(
        r'vector_db_requests_total\{method="gRPC InsertVectors",service="gateway",'
        r'status="collection_not_found"\} [1-9]',
        metrics,
    )


def test_what_is_no_message_is_refused_by_name(unwritten: Stack) -> None:
    with grpc.insecure_channel(unwritten.gateway.grpc_address) as channel:
        method: Any = channel.unary_unary("/citadel.vector.v1.VectorService/InsertVectors")
        with refused() as errors:
            method(b"\xff\xff\xff", timeout=TIMEOUT_S)
    assert errors[0].code == "invalid_argument"
    assert errors[0].message == "the message is no citadel.vector.v1.InsertVectorsRequest"


def test_a_message_that_is_too_large_is_refused_by_name(bad_service: VectorServiceStub) -> None:
    request = pb.InsertVectorsRequest(collection="bad", metadata=[bytes(MAX_CALL_BYTES)])
    with refused() as errors:
        bad_service.InsertVectors(request, timeout=TIMEOUT_S)
    assert errors[0].code == "body_too_large"
    assert errors[0].details == {"limit_bytes": MAX_CALL_BYTES}


def test_one_that_is_far_too_large_is_not_taken_into_memory(bad_service: VectorServiceStub) -> None:
    request = pb.InsertVectorsRequest(collection="bad", metadata=[bytes(MAX_MESSAGE_BYTES)])
    with pytest.raises(grpc.RpcError) as failure:
        bad_service.InsertVectors(request, timeout=TIMEOUT_S)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(failure.value.details())


def test_a_deadline_ends_the_call_and_what_is_done_for_it(own: Stack, own_service: VectorServiceStub) -> None:
    _delay(own, _LONG_S)
    with refused() as errors:
        list(own_service.ScrollVectors(pb.ScrollVectorsRequest(collection="docs"), timeout=1.0))
    assert errors[0].code == "deadline_exceeded"
    _delay(own, 0.0)
    _wait_until_all_places_are_free(own)


def test_a_client_that_goes_away_takes_no_place(own: Stack, own_service: VectorServiceStub) -> None:
    _delay(own, _LONG_S)
    for number in range(1, 4):
        pages = own_service.ScrollVectors(pb.ScrollVectorsRequest(collection="docs"))
        _wait_until_asked(own, number)
        pages.cancel()
        _wait_until_all_places_are_free(own)


def test_a_write_that_has_begun_ends_without_its_client(own: Stack, own_service: VectorServiceStub) -> None:
    _delay(own, 2.0)
    sent = own_service.InsertVectors.future(insertion("docs", [{"id": 1, "vector": [1, 0, 0]}]))
    wait_until("the shard is told", lambda: _calls(own, "Upsert") == 1)
    sent.cancel()
    wait_until("the point is stored", lambda: _points(own) == 1)
    _wait_until_all_places_are_free(own)


def test_past_max_inflight_calls_are_refused_with_when_to_come_back(
    own: Stack, own_service: VectorServiceStub
) -> None:
    _delay(own, _LONG_S)
    waiting = [own_service.ScrollVectors(pb.ScrollVectorsRequest(collection="docs")) for _ in range(2)]
    _wait_until_asked(own, 2)
    with pytest.raises(grpc.RpcError) as failure:
        own_service.GetCollection(pb.GetCollectionRequest(name="docs"), timeout=TIMEOUT_S)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(cast("Any", failure.value))
    assert status is not None
    reason, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(reason)
    assert status.details[1].Unpack(retry)
    assert (reason.reason, retry.retry_delay.seconds) == ("overloaded", 1)
    # The places are the same over REST.
    assert own.client.get("/api/v1/collections").status_code == 429
    for pages in waiting:
        pages.cancel()


def test_what_needs_no_key_keeps_no_places_from_calls(stack: Stack) -> None:
    """Past a bound, who watches is told how it is and no more, and who asks for messages is sent away."""
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(stack.gateway.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watched = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(MOST_WATCHERS)]
        assert {next(changes).status for changes in watched} == {_Status.SERVING}
        (only,) = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert only.status == _Status.SERVING

        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        silent = threading.Event()

        def questions() -> Iterator[Any]:
            yield asked
            silent.wait(TIMEOUT_S)

        opened = [reflection.ServerReflectionInfo(questions()) for _ in range(MOST_STREAMS)]
        for answers in opened:
            next(answers)
        with pytest.raises(grpc.RpcError) as failure:
            list(reflection.ServerReflectionInfo(iter([asked]), timeout=TIMEOUT_S))
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with connected(stack) as service:
            service.ListCollections(pb.ListCollectionsRequest(), timeout=TIMEOUT_S)
        silent.set()
        for call in (*watched, *opened):
            call.cancel()


def test_health_is_what_rest_says_of_readiness(own: Stack) -> None:
    with grpc.insecure_channel(own.gateway.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watched = stub.Watch(health_pb2.HealthCheckRequest())

        def status(service: str = "") -> int:
            return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S).status)

        assert status() == status("citadel.vector.v1.VectorService") == _Status.SERVING
        assert next(watched).status == _Status.SERVING
        with pytest.raises(grpc.RpcError) as failure:
            status("nope")
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND

        own.nodes[0].set_ready(False)
        wait_until("it is not ready", lambda: status() == _Status.NOT_SERVING)
        assert own.client.get("/ready").status_code == 503
        assert next(watched).status == _Status.NOT_SERVING
        watched.cancel()


def test_a_call_in_progress_ends_before_the_gateway_does(own: Stack, own_service: VectorServiceStub) -> None:
    _delay(own, 2.0)
    with ThreadPoolExecutor(1) as ending:
        sent = own_service.InsertVectors.future(insertion("docs", [{"id": 1, "vector": [1, 0, 0]}]))
        wait_until("the shard is told", lambda: _calls(own, "Upsert") == 1)
        ended = ending.submit(own.gateway.end)
        assert sent.result(TIMEOUT_S).inserted == 1
        assert ended.result() == 0
    with pytest.raises(grpc.RpcError) as failure:
        own_service.GetCollection(pb.GetCollectionRequest(name="docs"), timeout=5.0)
    assert failure.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_without_a_port_there_is_no_door(tmp_path: Path) -> None:
    with running_stack(tmp_path, gateway_grpc_port="off") as stack:
        assert not any(event.get("event") == "listening over gRPC" for event in stack.gateway.events())
        assert stack.gateway.end() == 0


def test_a_taken_port_is_a_reason_not_to_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gateway = GatewayProcess(tmp_path, gateway_grpc_port=taken.getsockname()[1])
        try:
            assert gateway.process.wait(TIMEOUT_S) != 0
        finally:
            gateway.close()
    (reason,) = [event["error"] for event in gateway.events() if event["event"] == "not started"]
    assert reason.startswith("cannot listen on 127.0.0.1:")


def _wait_until_all_places_are_free(stack: Stack) -> None:
    """Two at once, as many as there are."""

    def free() -> bool:
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(stack.client.get, "/api/v1/collections/docs") for _ in range(2)]
            return all(one.result().status_code == 200 for one in asked)

    wait_until("all places are free", free)
