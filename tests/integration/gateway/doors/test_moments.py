"""What is told alike in all doors though no request is wrong: the state of the gateway, and of its shards."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.errors import StorageFull
from tests.integration.gateway.doors.conftest import ABSENT, doors_of
from tests.integration.gateway.doors.drivers import Asked, Door, Told
from tests.integration.gateway.refusals import GOOD
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, channel_to, refused
from tests.integration.waiting import wait_until

_SEARCH: Final = Asked("search", {"collection": "docs", "vector": [1, 0, 0]})
# Without an id, so that it is stored as often as it is carried out.
_INSERT: Final[dict[str, Any]] = {"collection": "docs", "vectors": [{"vector": [1, 2, 3]}]}


class Alone:
    """A gateway on memory nodes, with two places for requests."""

    def __init__(self, stack: Stack, doors: dict[str, Door]) -> None:
        self.stack = stack
        self.doors = doors

    def told_alike(self, asked: Asked, doors: tuple[str, ...] = ("REST", "gRPC", "GraphQL")) -> Told:
        first, *others = (self.doors[name].ask(asked) for name in doors)
        assert first is not None
        assert others == [first] * len(others)
        return first

    @contextmanager
    def held(self, name: str, *asked: Asked) -> Iterator[None]:
        """These requests are under way: every node has them, and answers at the end."""
        gate = threading.Event()
        before = self._calls()
        for node in self.stack.nodes:
            node.faults.gate = gate
        threads = [threading.Thread(target=self.doors[name].ask, args=(one,)) for one in asked]
        try:
            for number, thread in enumerate(threads, 1):
                thread.start()
                wait_until("it to arrive", partial(self._has_had, before + number))
            yield
        finally:
            gate.set()
            for node in self.stack.nodes:
                node.faults.gate = None
            for thread in threads:
                thread.join()

    def _has_had(self, calls: int) -> bool:
        return self._calls() >= calls

    def _calls(self) -> int:
        return sum(sum(node.calls.values()) for node in self.stack.nodes)

    @contextmanager
    def failing(self) -> Iterator[None]:
        for node in self.stack.nodes:
            node.faults.error, node.faults.failures_left = StorageFull("no space left"), 1_000
        try:
            yield
        finally:
            for node in self.stack.nodes:
                node.faults.error, node.faults.failures_left = None, 0

    def count(self) -> int:
        told = self.stack.post("/api/v1/vectors/count", {"collection": "docs"})
        found: int = self.stack.data(told)["count"]
        return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    folder: Path = tmp_path_factory.mktemp("alone")
    settings: dict[str, Any] = {"max_inflight": 2, "request_timeout_s": 60.0, "cache": "off"}
    with running_stack(folder, **settings) as stack, doors_of(stack) as doors:
        stack.create("docs", shards=1)
        yield Alone(stack, doors)


@pytest.mark.parametrize(
    ("operation", "body", "where"),
    [
        ("job", None, {"id": "0" * 32}),
        ("library", None, {"id": ABSENT}),
        ("keys", None, {}),
        ("operations", None, {}),
        ("create document", {"title": "a"}, {"library_id": ABSENT}),
    ],
)
def test_without_a_database(alone: Alone, operation: str, body: Any, where: dict[str, Any]) -> None:
    assert alone.told_alike(Asked(operation, body, where)).code == "database_not_configured"


def test_shards_that_are_slow(tmp_path: Path) -> None:
    with running_stack(tmp_path, request_timeout_s=0.5) as stack, doors_of(stack) as doors:
        stack.create("docs", shards=1)
        for node in stack.nodes:
            node.faults.delay_s = 60.0
        told = [doors[name].ask(_SEARCH) for name in doors]
    assert [one.code for one in told if one is not None] == ["deadline_exceeded"] * 3
    assert len({one.message for one in told if one is not None}) == 1


def test_shards_that_have_no_space_left(alone: Alone) -> None:
    with alone.failing():
        assert alone.told_alike(Asked("insert", {**_INSERT, "vectors": [GOOD]})).code == "storage_full"


def test_a_gateway_that_is_busy(alone: Alone) -> None:
    for name in alone.doors:
        other = Asked("search", {**_SEARCH.body, "limit": 3})
        with alone.held(name, _SEARCH, other):
            told = alone.told_alike(Asked("count", {"collection": "docs"}))
        assert (told.code, told.details, told.after) == ("overloaded", {"limit": 2}, True)


def _keyed(key: str, **more: Any) -> Asked:
    return Asked("insert", {**_INSERT, **more}, {}, {"Idempotency-Key": key})


@pytest.mark.parametrize("name", ["REST", "gRPC", "GraphQL"])
def test_a_key_is_carried_out_once(alone: Alone, name: str) -> None:
    before, key = alone.count(), uuid.uuid4().hex
    for _ in range(3):
        assert alone.doors[name].ask(_keyed(key)) is None
    assert alone.count() == before + 1
    reused = alone.doors[name].ask(_keyed(key, mode="insert"))
    assert reused is not None
    assert (reused.code, reused.details) == ("idempotency_key_reused", {})
    # A refusal that the request deserves is answered again; so is another key another request.
    bad = _keyed(uuid.uuid4().hex, collection="nope")
    first = alone.doors[name].ask(bad)
    assert first is not None
    assert alone.doors[name].ask(bad) == first
    assert alone.doors[name].ask(_keyed(uuid.uuid4().hex)) is None
    assert alone.count() == before + 2


def test_one_key_is_one_request_whichever_door_it_comes_through(alone: Alone) -> None:
    key = uuid.uuid4().hex
    assert alone.doors["REST"].ask(_keyed(key)) is None
    told = alone.told_alike(_keyed(key), ("gRPC", "GraphQL"))
    assert told.code == "idempotency_key_reused"
    assert alone.told_alike(_keyed("two words")).code == "invalid_argument"


def test_what_only_reads_passes_by(alone: Alone) -> None:
    key = uuid.uuid4().hex
    for collection in ("docs", "docs"):
        for limit in (1, 2):
            body = {"collection": collection, "vector": [1, 0, 0], "limit": limit}
            asked = Asked("search", body, {}, {"Idempotency-Key": key})
            assert [alone.doors[name].ask(asked) for name in alone.doors] == [None] * 3


@pytest.mark.parametrize("name", ["REST", "gRPC", "GraphQL"])
def test_a_failure_may_be_tried_again_with_its_key(alone: Alone, name: str) -> None:
    """Nothing of it is kept, though GraphQL answers 200."""
    before, asked = alone.count(), _keyed(uuid.uuid4().hex)
    with alone.failing():
        failed = alone.doors[name].ask(asked)
    assert failed is not None
    assert failed.code == "storage_full"
    assert alone.doors[name].ask(asked) is None
    assert alone.doors[name].ask(asked) is None
    assert alone.count() == before + 1


def test_while_the_first_is_under_way(alone: Alone) -> None:
    told = []
    for name in alone.doors:
        asked = _keyed(uuid.uuid4().hex)
        with alone.held(name, asked):
            told.append(alone.doors[name].ask(asked))
        assert alone.doors[name].ask(asked) is None
    first, *others = told
    assert first is not None
    assert (first.code, first.after) == ("idempotency_key_in_flight", True)
    assert others == [first] * 2


def test_streams_take_no_key(alone: Alone) -> None:
    with channel_to(alone.stack) as channel, refused() as errors:
        metadata = (("idempotency-key", "a"),)
        list(VectorServiceStub(channel).StreamVectors(iter(()), metadata=metadata, timeout=TIMEOUT_S))
    assert errors[0].code == "invalid_argument"
    assert "not for streams" in errors[0].message
