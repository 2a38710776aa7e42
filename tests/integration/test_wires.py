"""Wires: reads of shards past gRPC answer and fail as over gRPC, and whoever finds no wire asks over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceServicer, add_ShardServiceServicer_to_server
from hanax.core.errors import DeadlineExceeded, HanaxError, Internal, InvalidFilter
from hanax.gateway.shards import ShardStub
from hanax.index_shard.wired import wire_methods
from hanax.rpc.channels import Channels
from hanax.rpc.errors import error_from_call
from hanax.rpc.frames import LENGTH, MAX_QUESTION_BYTES, question_frame
from hanax.rpc.servers import CallObserver, RpcServer
from hanax.rpc.wire_servers import MAX_WIRES as MOST_OF_SERVER
from hanax.rpc.wire_servers import WireServer
from hanax.rpc.wires import MAX_WIRES, WiredMethod, WiresTo
from tests.integration.waiting import until, wait_until

LONG_S = 60.0
NO_SIDE_EFFECTS = MethodOptions.NO_SIDE_EFFECTS


class Node(ShardServiceServicer):
    """Counts the bytes of a filter. It notes which way it was asked: on a wire there is no context."""

    def __init__(self, places: int) -> None:
        self.ways: list[str] = []
        self.told: Counter[tuple[str, str]] = Counter()
        self.error: Exception | None = None
        self.arrived = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        observer = CallObserver(lambda method, outcome, _: self.told.update([(method, outcome)]))
        self.server = RpcServer("127.0.0.1:0", 8, time.monotonic)
        add_ShardServiceServicer_to_server(self, self.server.registry)
        self.wires = WireServer("127.0.0.1", 0, places, time.monotonic, observer)
        self.port = self.wires.port
        self.server.start()
        self.wires.start(wire_methods(self))
        self.address = f"127.0.0.1:{self.server.port}"

    def close(self) -> None:
        self.go_on.set()
        self.wires.drain(0)
        self.server.drain(0)

    def Wires(self, request: pb.WiresRequest, context: grpc.ServicerContext) -> pb.WiresResponse:
        return pb.WiresResponse(port=self.port)

    def Count(self, request: pb.CountRequest, context: grpc.ServicerContext | None) -> pb.CountResponse:
        self.ways.append("wire" if context is None else "grpc")
        self.arrived.set()
        assert self.go_on.wait(LONG_S)
        if self.error is not None:
            raise self.error
        return pb.CountResponse(count=len(request.filter_json))

    def Distinct(self, request: pb.DistinctRequest, context: grpc.ServicerContext | None) -> Any:
        return pb.DistinctResponse(values_json=[b"x" * 1_000_000] * request.limit)


def new_node(places: int = 8) -> Node:
    # The methods that it lacks are nobody's concern here.
    return Node(places)  # type: ignore[abstract]


class Client:
    def __init__(self, node: Node) -> None:
        self.address = node.address
        self.channels = Channels()
        self.wires = WiresTo(node.address, self._port_of)
        self.stub = ShardStub(self.channels.get(node.address), self.wires)

    async def _port_of(self, address: str) -> int:
        return (await self.stub.Wires(pb.WiresRequest())).port

    async def count(self, size: int, timeout_s: float = LONG_S) -> int:
        try:
            answer = await self.stub.Count(pb.CountRequest(filter_json=b"x" * size), timeout=timeout_s)
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        return answer.count

    async def connect(self) -> None:
        """Until there is a wire."""
        await self.channels.get(self.address).channel_ready()
        await self.count(0)
        await until("a wire is open", lambda: self.wires.free)

    async def close(self) -> None:
        self.wires.close()
        await self.channels.close()


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LONG_S).close()
    except ConnectionError:
        return True
    return False


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = new_node()
    yield node
    await asyncio.to_thread(node.close)


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    client = Client(node)
    await client.connect()
    node.ways.clear()
    node.arrived.clear()
    yield client
    await client.close()


async def test_the_methods_that_the_contract_marks_are_those_on_wires_all_of_them_reads(
    node: Node, client: Client
) -> None:
    service = pb.DESCRIPTOR.services_by_name["ShardService"]
    marked = {one.name for one in service.methods if one.GetOptions().idempotency_level == NO_SIDE_EFFECTS}
    assert marked == {"Search", "Recommend", "SearchGroups", "Get", "Scroll", "Count", "Facet", "Distinct"}
    assert wire_methods(node).keys() == marked
    asked = {name for name, method in vars(client.stub).items() if isinstance(method, WiredMethod)}
    assert asked == marked


async def test_the_first_question_goes_over_grpc_and_the_next_on_a_wire(node: Node) -> None:
    client = Client(node)
    await client.connect()
    assert await client.count(17) == 17
    assert node.ways == ["grpc", "wire"]
    await until("it is counted", lambda: node.told == {("Count", "ok"): 1})
    await client.close()


async def test_errors_are_those_of_grpc(node: Node, client: Client) -> None:
    async def failure() -> HanaxError:
        with pytest.raises(HanaxError) as found:
            await client.count(1)
        return found.value

    node.error = InvalidFilter("no such operator", operator="like")
    error = await failure()
    assert (type(error), error.message) == (InvalidFilter, "no such operator")
    assert error.details == {"operator": "like"}
    node.error = ZeroDivisionError("secret")
    error = await failure()
    assert type(error) is Internal
    assert "secret" not in error.message
    node.error = None
    assert await client.count(2) == 2
    assert node.ways == ["wire"] * 3
    await until("all are counted", lambda: node.told.total() == 3)
    assert node.told == {("Count", "invalid_filter"): 1, ("Count", "internal"): 1, ("Count", "ok"): 1}


async def test_after_its_deadline_a_late_answer_is_nobody_elses(node: Node, client: Client) -> None:
    node.go_on.clear()
    with pytest.raises(DeadlineExceeded):
        await client.count(1, timeout_s=0.05)
    assert client.wires.free == 0
    node.go_on.set()
    assert [await client.count(size) for size in (2, 3, 4)] == [2, 3, 4]


async def test_who_cancels_leaves_no_answer_behind(node: Node, client: Client) -> None:
    node.go_on.clear()
    task = asyncio.create_task(client.count(1))
    assert await asyncio.to_thread(node.arrived.wait, LONG_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    node.go_on.set()
    assert [await client.count(size) for size in (2, 3, 4)] == [2, 3, 4]


async def test_many_at_once_get_their_own_answers(node: Node, client: Client) -> None:
    # As many as the server takes at once over gRPC.
    sizes = list(range(100))
    assert await asyncio.gather(*map(client.count, sizes)) == sizes
    assert set(node.ways) == {"grpc", "wire"}
    assert client.wires.free <= MAX_WIRES


async def test_large_answers_come_whole_and_large_questions_go_over_grpc(node: Node, client: Client) -> None:
    answer = await client.stub.Distinct(pb.DistinctRequest(limit=20), timeout=LONG_S)
    assert list(map(len, answer.values_json)) == [1_000_000] * 20
    assert await client.count(MAX_QUESTION_BYTES) == MAX_QUESTION_BYTES
    assert await client.count(1) == 1
    assert node.ways == ["grpc", "wire"]


async def test_a_server_that_drains_answers_what_it_works_on(node: Node, client: Client) -> None:
    node.go_on.clear()
    asked = asyncio.create_task(client.count(5))
    assert await asyncio.to_thread(node.arrived.wait, LONG_S)
    drained = asyncio.create_task(asyncio.to_thread(node.wires.drain, LONG_S))
    await until("it drains", lambda: is_refused(node.wires.port))
    node.go_on.set()
    assert await asked == 5
    await drained
    await until("the wire has ended", lambda: not client.wires.free)
    assert await client.count(6) == 6
    assert node.ways[0] == "wire"
    assert node.ways[-1] == "grpc"


async def test_a_question_whose_wire_is_cut_is_asked_over_grpc(node: Node, client: Client) -> None:
    node.go_on.clear()
    asked = asyncio.create_task(client.count(5))
    assert await asyncio.to_thread(node.arrived.wait, LONG_S)
    await asyncio.to_thread(node.wires.drain, 0)
    node.go_on.set()
    assert await asked == 5
    assert node.ways == ["wire", "grpc"]


async def test_a_server_without_wires_is_asked_over_grpc(node: Node) -> None:
    node.port = 0
    client = Client(node)
    await client.channels.get(node.address).channel_ready()
    assert [await client.count(size) for size in range(20)] == list(range(20))
    node.port = 1  # Nobody listens there.
    assert [await client.count(size) for size in range(20)] == list(range(20))
    assert set(node.ways) == {"grpc"}
    await client.close()


async def test_over_tls_there_are_no_wires(node: Node) -> None:
    async def port_of(address: str) -> int:
        raise AssertionError(address)

    assert WiresTo(f"grpcs://{node.address}", port_of).take() is None


@pytest.mark.parametrize(
    "sent",
    [
        LENGTH.pack(MAX_QUESTION_BYTES + 1) + b"x",
        question_frame(b"Count", b"") * 2,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["too long", "before the answer to the last", "another protocol"],
)
async def test_what_is_no_question_ends_its_wire_alone(node: Node, client: Client, sent: bytes) -> None:
    def send() -> bytes:
        with socket.create_connection(("127.0.0.1", node.wires.port), timeout=LONG_S) as wire:
            wire.sendall(sent)
            return wire.recv(1)

    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.to_thread(send) == b""
    assert await client.count(3) == 3
    assert node.ways == ["wire"]


def test_messages_and_methods_that_nobody_knows_are_refused() -> None:
    node = new_node()

    def answer(frame: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", node.wires.port), timeout=LONG_S) as wire:
            wire.sendall(frame)
            return wire.recv(1000)

    try:
        assert answer(LENGTH.pack(0))[4:5] == b"\1"
        assert b"method_not_allowed" in answer(question_frame(b"Upsert", b""))
        assert b"method_not_allowed" in answer(LENGTH.pack(2) + b"\xff\xff")
        assert b"invalid_argument" in answer(question_frame(b"Count", b"\xff\xff"))
        assert node.ways == []
    finally:
        node.close()


def test_the_number_of_wires_is_bounded() -> None:
    node = new_node(places=1)
    opened = [socket.create_connection(("127.0.0.1", node.wires.port)) for _ in range(MOST_OF_SERVER + 1)]
    try:
        # In the order in which they came: the last one is ended, the others are answered.
        assert opened[-1].recv(1) == b""
        opened[0].sendall(question_frame(b"Count", b""))
        assert opened[0].recv(100)[4:5] == b"\0"
    finally:
        for wire in opened:
            wire.close()
    wait_until("their places are free", lambda: node.wires.open == 0)
    node.close()


def test_a_port_that_is_taken_is_named(node: Node) -> None:
    port = node.wires.port
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        WireServer("127.0.0.1", port, 1, time.monotonic, CallObserver(lambda *_: None))
