"""StreamVectors: answers message by message, in order, and no more in the gateway than is worked on."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.errors import Overloaded
from hanax.core.limits import MAX_CALL_BYTES
from hanax.gateway.insert_streams import MAX_STREAMS
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, connected, insertion, refused
from tests.integration.waiting import wait_until


def _message(collection: str, id_: int, vector: list[float]) -> pb.StreamVectorsRequest:
    return pb.StreamVectorsRequest(insert=insertion(collection, [{"id": id_, "vector": vector}]))


class _Sent:
    """Messages of a stream that a test sends one by one."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[pb.StreamVectorsRequest | None] = queue.SimpleQueue()
        self.send = self._messages.put

    def __iter__(self) -> Iterator[pb.StreamVectorsRequest]:
        return iter(self._messages.get, None)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    with running_stack(tmp_path, max_inflight=2, drain_grace_s=20) as stack:
        stack.create("docs", shards=1)
        yield stack


def _points(stack: Stack) -> int:
    return sum(len(points) for node in stack.nodes for points in node.shards.values())


def test_each_message_is_answered_once_it_is_durable(either: Stack, service: VectorServiceStub) -> None:
    name = "grpc-stream-inserts"
    either.create(name)
    sent = _Sent()
    answers = service.StreamVectors(iter(sent), timeout=TIMEOUT_S)
    for number in range(5):
        sent.send(_message(name, number, [1, number, 0]))
        answer = next(answers)
        assert (answer.number, answer.stored.inserted) == (number, 1)
        assert either.data(either.post("/api/v1/vectors/count", {"collection": name}))["count"] == number + 1
    sent.send(None)
    assert list(answers) == []


def test_a_refused_message_does_not_end_the_stream(either: Stack, service: VectorServiceStub) -> None:
    name = "grpc-stream-refusals"
    either.create(name)
    messages = [
        _message(name, 1, [1, 0, 0]),
        _message(name, 2, [1, 0]),
        _message("nope", 3, [1, 0, 0]),
        pb.StreamVectorsRequest(),
        _message(name, 4, [0, 1, 0]),
    ]
    answers = list(service.StreamVectors(iter(messages), timeout=TIMEOUT_S))
    assert [answer.number for answer in answers] == list(range(5))
    told = [answer.failure.code or "stored" for answer in answers]
    assert told == [
        "stored",
        "dimension_mismatch",
        "collection_not_found",
        "collection_not_found",
        "stored",
    ]
    with refused() as errors:
        service.InsertVectors(messages[1].insert, timeout=TIMEOUT_S)
    assert answers[1].failure.message == errors[0].message


def test_a_message_that_is_too_large_is_refused_alone(bad_service: VectorServiceStub) -> None:
    large = pb.StreamVectorsRequest(
        insert=pb.InsertVectorsRequest(collection="bad", metadata=[bytes(MAX_CALL_BYTES)])
    )
    answers = bad_service.StreamVectors(iter([large, _message("nope", 1, [1])]), timeout=TIMEOUT_S)
    assert [answer.failure.code for answer in answers] == ["body_too_large", "collection_not_found"]


def test_one_message_is_worked_on_at_a_time(own: Stack) -> None:
    """The others wait outside: with a shard that does not answer, the second never comes to it."""
    (node,) = [node for node in own.nodes if node.shards]
    node.faults.delay_s = 3.0
    with connected(own) as service:
        answers = service.StreamVectors(
            iter([_message("docs", number, [1, 0, 0]) for number in range(3)]), timeout=TIMEOUT_S
        )
        wait_until("the shard is asked", lambda: node.calls["Upsert"] == 1)
        # An answer comes before the next is begun.
        assert next(answers).stored.inserted == 1
        assert node.calls["Upsert"] <= 2
        node.faults.delay_s = 0.0
        assert [answer.stored.inserted for answer in answers] == [1, 1]


def test_a_stream_that_waits_for_its_client_takes_no_place(own: Stack) -> None:
    with connected(own) as service:
        streams = []
        for number in range(3):
            sent = _Sent()
            answers = service.StreamVectors(iter(sent), timeout=TIMEOUT_S)
            sent.send(_message("docs", number, [1, 0, 0]))
            assert next(answers).stored.inserted == 1
            streams.append((sent, answers))
        assert own.client.get("/api/v1/collections/docs").status_code == 200
        for sent, answers in streams:
            sent.send(None)
            assert list(answers) == []


def test_a_deadline_ends_the_stream(own: Stack) -> None:
    with connected(own) as service:
        sent = _Sent()
        answers = service.StreamVectors(iter(sent), timeout=2.0)
        sent.send(_message("docs", 1, [1, 0, 0]))
        assert next(answers).stored.inserted == 1
        with refused() as errors:
            next(answers)
        assert errors[0].code == "deadline_exceeded"
        sent.send(None)


def test_what_has_begun_is_stored_when_the_client_goes_away(own: Stack) -> None:
    (node,) = [node for node in own.nodes if node.shards]
    node.faults.delay_s = 2.0
    with connected(own) as service:
        answers = service.StreamVectors(iter([_message("docs", 1, [1, 0, 0])]))
        wait_until("the shard is asked", lambda: node.calls["Upsert"] == 1)
        answers.cancel()
        wait_until("the point is stored", lambda: _points(own) == 1)


def test_a_gateway_that_ends_answers_what_it_has_taken_and_takes_no_more(own: Stack) -> None:
    with connected(own) as service:
        sent = _Sent()
        answers = service.StreamVectors(iter(sent), timeout=TIMEOUT_S)
        sent.send(_message("docs", 1, [1, 0, 0]))
        assert next(answers).stored.inserted == 1
        assert own.gateway.end() == 0
        with pytest.raises(grpc.RpcError) as failure:
            next(answers)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        sent.send(None)


def test_a_refusal_for_now_is_waited_out(own: Stack) -> None:
    """As by REST's streams: who sends is held up, and nobody else can tell it to wait."""
    with connected(own) as service:
        sent = _Sent()
        answers = service.StreamVectors(iter(sent), timeout=TIMEOUT_S)
        for node in own.nodes:
            node.faults.error, node.faults.failures_left = Overloaded("busy", retry_after_s=0.01), 3
        sent.send(_message("docs", 1, [1, 0, 0]))
        assert next(answers).stored.inserted == 1
        sent.send(None)
        assert list(answers) == []


def test_streams_of_both_doors_share_their_places(stack: Stack) -> None:
    name = "grpc-stream-places"
    stack.create(name)
    with connected(stack) as service:
        opened: list[tuple[_Sent, Iterator[pb.StreamVectorsResponse]]] = []
        for number in range(MAX_STREAMS):
            sent = _Sent()
            # Whoever lets go of its answers ends the stream.
            opened.append((sent, service.StreamVectors(iter(sent), timeout=TIMEOUT_S)))
            sent.send(_message(name, number, [1, 0, 0]))
            assert next(opened[-1][1]).HasField("stored")
        with refused() as errors:
            list(service.StreamVectors(iter([_message(name, 0, [1, 0, 0])]), timeout=TIMEOUT_S))
        told = stack.client.post(
            "/api/v1/vectors/insert",
            params={"collection": name},
            content=b'{"id": 1, "vector": [1, 0, 0]}\n',
            headers={"Content-Type": "application/x-ndjson"},
        ).json()["error"]
        assert (errors[0].code, errors[0].message) == (told["code"], told["message"])
        assert (told["code"], told["details"]) == ("overloaded", {"limit": MAX_STREAMS})
        for sent, answers in opened:
            sent.send(None)
            assert list(answers) == []
