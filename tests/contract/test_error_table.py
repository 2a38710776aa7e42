"""The table of errors is total both ways, and an error survives a call over real gRPC."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc import aio

from hanax.core import errors
from hanax.core.errors import HanaxError, error_types
from hanax.rpc.errors import ERROR_BY_GRPC, STATUS_BY_CODE, error_from_call, http_status
from hanax.rpc.servers import RpcServer

KINDS = list(error_types())


def test_every_code_has_statuses_and_every_row_a_class() -> None:
    assert set(STATUS_BY_CODE) == {kind.code for kind in KINDS}


def test_every_grpc_status_has_an_error() -> None:
    assert set(ERROR_BY_GRPC) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize(
    # Cancelled apart: without details it is a server that stops.
    "kind",
    [kind for kind in KINDS if kind is not errors.Cancelled],
    ids=lambda kind: kind.__name__,
)
def test_a_status_without_details_means_the_nearest_class_above(kind: type[HanaxError]) -> None:
    """What an old client or a proxy makes of the bare status is true of the error it came from."""
    assert issubclass(kind, ERROR_BY_GRPC[STATUS_BY_CODE[kind.code].grpc])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_http_statuses_fit_the_tree(kind: type[HanaxError]) -> None:
    status = http_status(kind("text"))
    ours = (errors.Unavailable, errors.DeadlineExceeded, errors.DataLoss, errors.Internal)
    server_side = issubclass(kind, (*ours, errors.StorageFull))
    assert (500 <= status < 600) is server_side
    assert (400 <= status < 500) is not server_side


class Raising:
    """A server whose one method raises what it was told to, or waits."""

    def __init__(self) -> None:
        self.error: Exception = errors.Internal("nothing to raise")
        self.calls = 0
        self.hold = threading.Event()
        self.held = threading.Event()
        self.server = RpcServer("127.0.0.1:0", threads=1, clock=time.monotonic)
        handlers: dict[str, Any] = {
            "Raise": grpc.unary_unary_rpc_method_handler(self._raise),
            "Cut": grpc.unary_unary_rpc_method_handler(self._cut),
            "Wait": grpc.unary_unary_rpc_method_handler(self._wait),
        }
        self.server.registry.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Errors", handlers),)
        )
        self.server.start()
        self.address = f"127.0.0.1:{self.server.port}"

    def _raise(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        raise self.error

    def _cut(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """What a stopping server answers to a call it has not begun."""
        context.set_code(grpc.StatusCode.CANCELLED)
        return b""

    def _wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.held.set()
        self.hold.wait(30)
        return b""

    def close(self) -> None:
        self.hold.set()
        self.server.drain(5)


@pytest.fixture
def raising() -> Iterator[Raising]:
    server = Raising()
    yield server
    server.close()


@pytest.fixture
def channel(raising: Raising) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(raising.address) as channel:
        yield channel


def failure_of(channel: grpc.Channel, method: str = "Raise", timeout_s: float = 10) -> grpc.RpcError:
    call: Any = channel.unary_unary(f"/test.Errors/{method}")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=timeout_s)
    return caught.value


def test_every_error_survives_a_call(raising: Raising, channel: grpc.Channel) -> None:
    for kind in KINDS:
        raising.error = kind("expected 3, got é", index=7, expected=[1, "a"], unit=None)
        failure = failure_of(channel)
        error = error_from_call(failure)
        assert failure.code() is STATUS_BY_CODE[kind.code].grpc
        assert failure.details() == "expected 3, got é"
        assert type(error) is kind
        assert error.message == "expected 3, got é"
        assert error.details == {"index": 7, "expected": [1, "a"], "unit": None}


async def test_every_error_survives_an_asyncio_call(raising: Raising) -> None:
    async with aio.insecure_channel(raising.address) as channel:
        call: Any = channel.unary_unary("/test.Errors/Raise")
        for kind in KINDS:
            raising.error = kind("what was expected", index=7)
            with pytest.raises(aio.AioRpcError) as caught:
                await call(b"", timeout=10)
            error = error_from_call(caught.value)
            assert (type(error), error.message, error.details) == (
                kind,
                "what was expected",
                {"index": 7},
            )


def test_details_too_long_for_a_header_are_left_out(raising: Raising, channel: grpc.Channel) -> None:
    raising.error = errors.DuplicateId("é" * 20_000, ids=["x" * 100] * 2_000)
    error = error_from_call(failure_of(channel))
    assert type(error) is errors.DuplicateId
    assert error.message == "é" * 600
    assert error.details == {}


@pytest.mark.parametrize("letter", ["e", "é", "\N{GRINNING FACE}", "\n", "\ud800"])
def test_the_longest_message_and_details_fit(raising: Raising, channel: grpc.Channel, letter: str) -> None:
    raising.error = errors.DuplicateId(letter * 5_000, note="x" * 1_980)
    error = error_from_call(failure_of(channel))
    assert type(error) is errors.DuplicateId
    assert error.details == {"note": "x" * 1_980}
    assert 1_190 < len(error.message.encode()) <= 1_200


def test_details_that_are_not_json_are_written_as_text(raising: Raising, channel: grpc.Channel) -> None:
    raising.error = errors.InvalidId("bad", got=b"\xff")
    assert error_from_call(failure_of(channel)).details == {"got": "b'\\xff'"}
    raising.error = errors.InvalidId("bad", size=10**30)
    error = error_from_call(failure_of(channel))
    assert (type(error), error.details) == (errors.InvalidId, {})


def test_a_defect_is_internal_and_shows_no_traceback(raising: Raising, channel: grpc.Channel) -> None:
    raising.error = ZeroDivisionError("secret of the implementation")
    error = error_from_call(failure_of(channel))
    assert type(error) is errors.Internal
    assert error.message == "ZeroDivisionError in Raise; see the log"


def test_what_grpc_itself_reports_becomes_an_error_of_ours(raising: Raising, channel: grpc.Channel) -> None:
    assert type(error_from_call(failure_of(channel, "Missing"))) is errors.MethodNotAllowed
    late = error_from_call(failure_of(channel, "Wait", timeout_s=0.05))
    assert type(late) is errors.DeadlineExceeded
    with grpc.insecure_channel("127.0.0.1:1") as nobody:
        assert type(error_from_call(failure_of(nobody))) is errors.Unavailable


def test_a_call_whose_time_is_over_before_a_thread_takes_it_is_not_started(
    raising: Raising, channel: grpc.Channel
) -> None:
    call: Any = channel.unary_unary("/test.Errors/Wait")
    waiting = call.future(b"", timeout=30)
    assert raising.held.wait(10)  # the one thread is busy
    late = error_from_call(failure_of(channel, timeout_s=0.05))
    assert type(late) is errors.DeadlineExceeded
    raising.hold.set()
    assert waiting.result(10) == b""
    raising.error = errors.NotFound("the next call is served")
    assert type(error_from_call(failure_of(channel))) is errors.NotFound
    assert raising.calls == 1


def test_a_call_that_a_stopping_server_ends_is_worth_a_retry(raising: Raising, channel: grpc.Channel) -> None:
    cut = failure_of(channel, "Cut")
    assert cut.code() is grpc.StatusCode.CANCELLED
    assert type(error_from_call(cut)) is errors.Unavailable
    call: Any = channel.unary_unary("/test.Errors/Wait")
    waiting = call.future(b"", timeout=30)
    assert raising.held.wait(10)
    raising.server.drain(0)
    assert type(error_from_call(waiting.exception(10))) is errors.Unavailable


def test_more_calls_than_can_wait_are_refused_at_once(raising: Raising, channel: grpc.Channel) -> None:
    call: Any = channel.unary_unary("/test.Errors/Wait")
    ended: queue.Queue[Any] = queue.Queue()
    calls = [call.future(b"", timeout=30) for _ in range(17)]
    for future in calls:
        future.add_done_callback(ended.put)
    refused = ended.get(timeout=10)
    assert type(error_from_call(refused.exception())) is errors.ResourceExhausted
    raising.hold.set()
    assert [future.result(10) for future in calls if future is not refused] == [b""] * 16
