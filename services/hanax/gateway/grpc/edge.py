"""The edge: what holds for every call before a method sees it, and after.

An id, a place among those that are worked on, a bound on its messages, an answer as long as the client waits
for it, its time in the metrics and in trailing metadata; all as at the edge of REST.

Messages are read here, and not by gRPC: a call for which there is no place is refused before its message is
in memory, and the next message of a stream is taken when the one before it is done with. What has begun to
change something is left to end when its client goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from hanax.core.errors import (
    BodyTooLarge,
    Cancelled,
    DeadlineExceeded,
    HanaxError,
    InvalidArgument,
    Overloaded,
    Unavailable,
)
from hanax.core.limits import MAX_CALL_BYTES
from hanax.gateway.calls import Call
from hanax.gateway.failure_log import log_defect, log_failure
from hanax.gateway.grpc.call_metadata import compress_if_wished, enter, open_call, refuse, trailing
from hanax.gateway.grpc.methods import Conversation, Method, Streamed, Unary, Uploaded
from hanax.gateway.grpc.once import OnceOnly, given_key, refuse_key
from hanax.gateway.guard.audit import REFUSALS
from hanax.gateway.services import Services

# Messages of all calls in progress; past it new ones are refused, so that memory is bounded.
MAX_CALLS_BYTES: Final = 4 * MAX_CALL_BYTES

# How long a client may leave a page of a stream untaken.
_TAKE_PAGE_S: Final = 60.0
# How long it may let the gateway wait for its message, or the next one of an upload, and of a conversation.
_NEXT_PART_S: Final = 60.0
_NEXT_MESSAGE_S: Final = 300.0

Question = TypeVar("Question", bound=Message)

if TYPE_CHECKING:
    Context = aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]

# Sends what is to be sent before its answer, if any.
_Work = Callable[[Call], Awaitable[bytes | None]]


class Edge:
    def __init__(self, services: Services) -> None:
        self._places = services.places
        self._metrics = services.metrics
        self._clock = services.clock
        self._guard = services.guard
        self._once = OnceOnly(services.keys)
        self._held_bytes = 0
        self._leaving = asyncio.Event()
        # Of calls whose clients may be gone.
        self._works: set[asyncio.Task[bytes | None]] = set()

    def handler(self, name: str, method: Method) -> Handler:
        """What serves the method `name`."""
        if isinstance(method, Unary):
            return self._unary(name, method)
        if isinstance(method, Streamed):
            return self._streamed(name, method)
        if isinstance(method, Uploaded):
            return self._uploaded(name, method)
        return self._conversation(name, method)

    def leave(self) -> None:
        """Take no more messages of streams that are open."""
        self._leaving.set()

    async def close(self, grace_s: float) -> None:
        """Wait for what was left to end."""
        if self._works:
            await asyncio.wait(self._works, timeout=grace_s)

    def _unary(self, name: str, method: Unary[Any, Any]) -> Handler:
        async def serve(requests: object, context: Context) -> bytes | None:
            async def work(call: Call) -> bytes | None:
                raw = await self._only_message(context)
                try:
                    return await self._answer(name, context, call, method, raw)
                finally:
                    self._held_bytes -= len(raw)

            return await self._serve(name, context, work)

        return grpc.stream_unary_rpc_method_handler(serve)

    async def _answer(
        self, name: str, context: Context, call: Call, method: Unary[Any, Any], raw: bytes
    ) -> bytes:
        async def work() -> bytes:
            answer = await method.answer(call, self._parse(method.question, raw))
            told: bytes = answer.SerializeToString()
            return told

        key = given_key(context) if method.changes and not method.tells_secret else None
        if key is None:
            return await work()
        return await self._once.run(call, key, (name.encode(), raw), work)

    def _streamed(self, name: str, method: Streamed[Any, Any]) -> Handler:
        async def serve(requests: object, context: Context) -> None:
            async def work(call: Call) -> None:
                raw = await self._only_message(context)
                try:
                    question = self._parse(method.question, raw)
                    async with aclosing(method.answers(call, question)) as answers:
                        async for answer in answers:
                            with call.away():
                                await _send(context, answer.SerializeToString())
                finally:
                    self._held_bytes -= len(raw)

            await self._serve(name, context, work)

        return grpc.stream_stream_rpc_method_handler(serve)

    def _uploaded(self, name: str, method: Uploaded[Any, Any]) -> Handler:
        async def serve(requests: object, context: Context) -> bytes | None:
            async def work(call: Call) -> bytes | None:
                refuse_key(context)
                async with aclosing(self._parts(call, context, method.question)) as parts:
                    answer = await method.answer(call, parts)
                told: bytes = answer.SerializeToString()
                return told

            return await self._serve(name, context, work)

        return grpc.stream_unary_rpc_method_handler(serve)

    def _conversation(self, name: str, method: Conversation[Any, Any]) -> Handler:
        async def serve(requests: object, context: Context) -> None:
            async def work(call: Call) -> None:
                refuse_key(context)
                number = 0
                with method.place():
                    while (raw := await self._next_message(call, context)) is not None:
                        one = open_call(context, self._clock)
                        one.places = self._places
                        answer = await self._attended(one, self._reply(one, context, number, method, raw))
                        with call.away():
                            await _send(context, answer or b"")
                        number += 1

            await self._serve(name, context, work)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _reply(
        self, call: Call, context: Context, number: int, method: Conversation[Any, Any], raw: bytes
    ) -> bytes:
        """To one message, which `call` is of. Who sends it is asked anew: a stream may outlive a key."""
        try:
            await enter(call, context, self._guard)
            self._admit(raw)
            try:
                answer = await method.answer(call, number, self._parse(method.question, raw))
            finally:
                self._held_bytes -= len(raw)
        except HanaxError as error:
            log_failure(error, call.request_id, method.question.DESCRIPTOR.name)
            if error.code in REFUSALS:
                self._metrics.refused(error.code, call, method.question.DESCRIPTOR.name)
            answer = method.failed(number, error)
        except Exception as failure:
            defect = log_defect(failure, call.request_id, method.question.DESCRIPTOR.name)
            answer = method.failed(number, defect)
        told: bytes = answer.SerializeToString()
        return told

    async def _serve(self, name: str, context: Context, work: _Work) -> bytes | None:
        call = open_call(context, self._clock)
        outcome = "ok"
        try:
            await compress_if_wished(context)
            await enter(call, context, self._guard)
            answer = await self._attended(call, self._placed(call, work))
            context.set_trailing_metadata(trailing(call))
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
            if outcome in REFUSALS:
                self._metrics.refused(outcome, call, name)
        await refuse(context, call, refused)
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

    async def _placed(self, call: Call, work: _Work) -> bytes | None:
        """In a place of its own. Raises Overloaded."""
        self._places.take()
        call.places = self._places
        try:
            return await work(call)
        finally:
            self._places.give_back()

    async def _only_message(self, context: Context) -> bytes:
        """Raises InvalidArgument, BodyTooLarge, Overloaded; DeadlineExceeded for a client that sends none."""
        try:
            async with asyncio.timeout(_NEXT_PART_S):
                raw = await context.read()
        except TimeoutError:
            raise DeadlineExceeded(f"no message for {_NEXT_PART_S:g} s") from None
        if not isinstance(raw, bytes):
            raise InvalidArgument("expected a message")
        self._admit(raw)
        return raw

    async def _next_message(self, call: Call, context: Context) -> bytes | None:
        """Of a conversation; None: the client has no more. Its place is for others meanwhile.

        Raises DeadlineExceeded for a client that sends nothing, Unavailable where the gateway ends.
        """
        reading = asyncio.ensure_future(context.read())
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            with call.away():
                await asyncio.wait(
                    (reading, leaving), timeout=_NEXT_MESSAGE_S, return_when=asyncio.FIRST_COMPLETED
                )
            if reading.done():
                raw = reading.result()
                return raw if isinstance(raw, bytes) else None
        finally:
            reading.cancel()
            leaving.cancel()
        if self._leaving.is_set():
            raise Unavailable("the gateway ends: go on with another stream")
        raise DeadlineExceeded(f"no message for {_NEXT_MESSAGE_S:g} s")

    async def _parts(
        self, call: Call, context: Context, question: type[Question]
    ) -> AsyncGenerator[Question]:
        """The messages of an upload, each until the next is asked for. One that has begun may end.

        Raises DeadlineExceeded for a client that sends nothing.
        """
        while True:
            try:
                with call.away():
                    async with asyncio.timeout(_NEXT_PART_S):
                        raw = await context.read()
            except TimeoutError:
                raise DeadlineExceeded(f"no message for {_NEXT_PART_S:g} s") from None
            if not isinstance(raw, bytes):
                return
            self._admit(raw)
            try:
                yield self._parse(question, raw)
            finally:
                self._held_bytes -= len(raw)

    def _admit(self, raw: bytes) -> None:
        """Count a message among those that are held.

        Raises BodyTooLarge, and Overloaded past what all messages together may have.
        """
        size = len(raw)
        if size > MAX_CALL_BYTES:
            raise BodyTooLarge(
                f"a message has at most {MAX_CALL_BYTES} bytes, this one has {size}",
                limit_bytes=MAX_CALL_BYTES,
            )
        if self._held_bytes + size > MAX_CALLS_BYTES:
            raise Overloaded(f"the gateway holds {MAX_CALLS_BYTES} bytes of messages already")
        self._held_bytes += size

    @staticmethod
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
