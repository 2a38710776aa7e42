"""Server reflection, for clients without stubs. It needs no key, so that it is bounded in number and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc
from grpc import aio
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionServicer

MOST_STREAMS: Final = 64
# How long one may be silent.
_NEXT_QUESTION_S: Final = 10.0


class Reflection(ServerReflectionServicer):  # type: ignore[misc]  # grpc_reflection has no types
    def __init__(self, services: Sequence[str]) -> None:
        """services: that are told of, by their full names."""
        self._inner = reflection.aio.ReflectionServicer(services)
        self._streams = 0

    async def ServerReflectionInfo(
        self, request_iterator: AsyncIterator[Any], context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        if self._streams >= MOST_STREAMS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_STREAMS} ask already")
        self._streams += 1
        try:
            async for answer in self._inner.ServerReflectionInfo(_timely(request_iterator), context):
                yield answer
        finally:
            self._streams -= 1


async def _timely(questions: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Ends where the next one does not come."""
    while True:
        try:
            async with asyncio.timeout(_NEXT_QUESTION_S):
                question = await anext(questions)
        except (StopAsyncIteration, TimeoutError):
            return
        yield question
