"""The edge: what holds for every call before a method sees it, and after.

An id, a place among those that are worked on, a bound on its message, an answer as long as the client waits
for it, its time in the metrics and in trailing metadata; all as at the edge of REST.

The message of a call is read here, and not by gRPC: a call for which there is no place is refused before its
message is in memory. What has begun to change something is left to end when its client goes away.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from hanax.core.errors import BodyTooLarge, Cancelled, HanaxError, InvalidArgument, Overloaded
from hanax.core.limits import MAX_CALL_BYTES
from hanax.gateway.cache.control import read_cache_control
from hanax.gateway.calls import Call
from hanax.gateway.exchange_headers import request_id_of, retry_after_s, server_timing
from hanax.gateway.failure_log import log_defect, log_failure
from hanax.gateway.metrics import Metrics
from hanax.gateway.places import Places
from hanax.rpc.errors import status_from_error

# Messages of all calls in progress; past it new ones are refused, so that memory is bounded.
MAX_CALLS_BYTES: Final = 4 * MAX_CALL_BYTES

# How long a client may leave a page of a stream untaken.
_TAKE_PAGE_S: Final = 60.0

# Positions that an error tells: a status travels in headers.
_MOST_INDEXES: Final = 300

_JOB_FORM: Final = re.compile(r"[\x21-\x7e]{1,64}")

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=Message)

if TYPE_CHECKING:
    Context = aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]


class _Work(Protocol):
    """Gives the method its message, and sends what it answers."""

    async def __call__(self, call: Call, raw: bytes) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Unary(Generic[Question, Answer]):
    """One message in, one out."""

    question: type[Question]
    answer: Callable[[Call, Question], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Streamed(Generic[Question, Answer]):
    """One message in, many out."""

    question: type[Question]
    answers: Callable[[Call, Question], AsyncIterator[Answer]]


class Edge:
    def __init__(self, places: Places, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._places = places
        self._metrics = metrics
        self._clock = clock
        self._held_bytes = 0
        # Of calls whose clients may be gone.
        self._works: set[asyncio.Task[bytes | None]] = set()

    def unary(self, name: str, method: Unary[Any, Any]) -> Handler:
        """The handler of the method `name`."""

        async def serve(requests: object, context: Context) -> bytes | None:
            async def work(call: Call, raw: bytes) -> bytes | None:
                answer = await method.answer(call, _parse(method.question, raw))
                told: bytes = answer.SerializeToString()
                return told

            return await self._serve(name, context, work)

        return grpc.stream_unary_rpc_method_handler(serve)

    def streamed(self, name: str, method: Streamed[Any, Any]) -> Handler:
        async def serve(requests: object, context: Context) -> None:
            async def work(call: Call, raw: bytes) -> bytes | None:
                async for answer in method.answers(call, _parse(method.question, raw)):
                    with call.away():
                        await _send(context, answer.SerializeToString())
                return None

            await self._serve(name, context, work)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def close(self, grace_s: float) -> None:
        """Wait for what was left to end."""
        if self._works:
            await asyncio.wait(self._works, timeout=grace_s)

    async def _serve(self, name: str, context: Context, work: _Work) -> bytes | None:
        call = _open(context, self._clock)
        outcome = "ok"
        try:
            answer = await self._attended(call, self._placed(call, context, work))
            context.set_trailing_metadata(_trailing(call))
            return answer
        except HanaxError as error:
            log_failure(error, call.request_id, name)
            outcome, refused = error.code, error
        except asyncio.CancelledError:
            outcome = Cancelled.code
            raise
        except Exception as failure:
            refused = log_defect(failure, call.request_id, name)
            outcome = refused.code
        finally:
            self._metrics.called(name, outcome, call.elapsed_s())
        await _refuse(context, call, refused)
        return None

    async def _attended(self, call: Call, work: Any) -> bytes | None:
        """As long as the client waits, and until it has ended where it changes something."""
        task: asyncio.Task[bytes | None] = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not call.must_end:
                task.cancel()
            raise

    def _ended(self, task: asyncio.Task[bytes | None]) -> None:
        self._works.discard(task)
        if not task.cancelled():
            # The client may be gone, and nobody else look at it.
            task.exception()

    async def _placed(self, call: Call, context: Context, work: _Work) -> bytes | None:
        """In a place of its own. Raises Overloaded, BodyTooLarge, InvalidArgument."""
        self._places.take()
        call.places = self._places
        size = 0
        try:
            raw = await context.read()
            if not isinstance(raw, bytes):
                raise InvalidArgument("expected a message")
            size = len(raw)
            self._held_bytes += size
            if size > MAX_CALL_BYTES:
                raise BodyTooLarge(
                    f"a message has at most {MAX_CALL_BYTES} bytes, this one has {size}",
                    limit_bytes=MAX_CALL_BYTES,
                )
            if self._held_bytes > MAX_CALLS_BYTES:
                raise Overloaded(f"the gateway holds {MAX_CALLS_BYTES} bytes of messages already")
            return await work(call, raw)
        finally:
            self._held_bytes -= size
            self._places.give_back()


def _open(context: Context, clock: Callable[[], float]) -> Call:
    given: dict[str, Any] = dict(context.invocation_metadata() or ())
    control = given.get("cache-control")
    call = Call(
        request_id_of(given.get("x-request-id", "")),
        clock,
        read_cache_control(control.encode() if isinstance(control, str) else None),
        _actor(given.get("x-hanax-job", ""), context.peer()),
    )
    left_s = context.time_remaining()
    if left_s is not None:
        call.limit(left_s)
    return call


def _actor(job: object, peer: str) -> str:
    """Who asks: a job of the batch-processor, or an address, as nobody has a name here."""
    if isinstance(job, str) and _JOB_FORM.fullmatch(job):
        return f"job {job}"
    kind, _, address = peer.partition(":")
    return f"address {address.rpartition(':')[0].strip('[]')}" if kind in ("ipv4", "ipv6") else "anonymous"


def _parse(kind: type[Question], raw: bytes) -> Question:
    # Here, in the loop: decoding is one call that holds the interpreter wherever it is made.
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise InvalidArgument(f"the message is no {kind.DESCRIPTOR.full_name}") from None


async def _send(context: Context, page: bytes) -> None:
    try:
        async with asyncio.timeout(_TAKE_PAGE_S):
            await context.write(page)
    except TimeoutError:
        raise Cancelled(f"the client has not taken a page for {_TAKE_PAGE_S:g} s") from None


def _trailing(call: Call) -> tuple[tuple[str, str | bytes], ...]:
    told = (("x-request-id", call.request_id), ("server-timing", server_timing(call)))
    return told if call.cached_age_s is None else (*told, ("age", str(int(call.cached_age_s))))


async def _refuse(context: Context, call: Call, error: HanaxError) -> None:
    indexes = error.details.get("indexes", ())
    if len(indexes) > _MOST_INDEXES:
        error = type(error)(error.message, **{**error.details, "indexes": indexes[:_MOST_INDEXES]})
    status = status_from_error(error, retry_after_s(error))
    trailing: Any = (*_trailing(call), *(status.trailing_metadata or ()))
    await context.abort(status.code, status.details or "", trailing)
