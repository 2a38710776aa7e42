"""The gateway as jobs see it: its gRPC door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from grpc import aio

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.errors import CollectionNotFound, DeadlineExceeded, Unavailable
from hanax.rpc.channels import SPREAD_OPTIONS
from hanax.rpc.errors import error_from_call

if TYPE_CHECKING:
    from citadel.vector.v1.vector_pb2_grpc import VectorServiceAsyncStub

A = TypeVar("A")

# The job that calls of this task are made for: the gateway notes it with what it did.
CALLING_JOB: ContextVar[str | None] = ContextVar("calling_job", default=None)

_INSERT: Final = f"/{pb.DESCRIPTOR.services_by_name['VectorService'].full_name}/InsertVectors"


class Gateway:
    """Each call raises what its failure means, a HanaxError."""

    def __init__(self, address: str, timeout_s: float, key_file: Path | None = None) -> None:
        """timeout_s: of one call and of one page. key_file: holds the key that is shown where one is needed;
        read at every call, so that a key that is changed is taken up.
        """
        self._key_file = key_file
        self._channel = aio.insecure_channel(address, options=SPREAD_OPTIONS)
        self._stub: VectorServiceAsyncStub = VectorServiceStub(self._channel)
        self._insert: aio.UnaryUnaryMultiCallable[bytes, pb.InsertVectorsResponse] = (
            self._channel.unary_unary(
                _INSERT, request_serializer=None, response_deserializer=pb.InsertVectorsResponse.FromString
            )
        )
        self._timeout_s = timeout_s

    async def close(self) -> None:
        await self._channel.close()

    async def embed(self, request: pb.GenerateEmbeddingRequest) -> pb.GenerateEmbeddingResponse:
        return await self._call(self._stub.GenerateEmbedding, request)

    async def insert(self, request: pb.InsertVectorsRequest) -> pb.InsertVectorsResponse:
        return await self._call(self._stub.InsertVectors, request)

    async def insert_encoded(self, request: bytes) -> pb.InsertVectorsResponse:
        """As `insert`, of a message that is encoded already."""
        return await self._call(self._insert, request)

    async def collection(self, name: str, uid: str | None = None) -> pb.Collection:
        """By its name or an alias. Raises CollectionNotFound, also when it has another uid."""
        request = pb.GetCollectionRequest(name=name)
        answer = await self._call(self._stub.GetCollection, request)
        found = answer.collection
        if uid and found.uid != uid:
            raise CollectionNotFound(
                f"the collection {name!r} that was meant is gone; another has its name", collection=name
            )
        return found

    async def create(self, spec: pb.CollectionSpec) -> pb.Collection:
        request = pb.CreateCollectionRequest(spec=spec)
        answer = await self._call(self._stub.CreateCollection, request)
        return answer.collection

    async def point_alias(self, alias: str, collection: str) -> None:
        """Make the alias stand for the collection, whatever it stood for."""
        change = pb.AliasChange(alias=alias, collection=collection)
        request = pb.ChangeAliasesRequest(changes=[change])
        await self._call(self._stub.ChangeAliases, request)

    async def scroll(self, request: pb.ScrollVectorsRequest) -> AsyncIterator[pb.ScrollVectorsResponse]:
        """Pages until there is nothing after them. How long they lie here unread counts for no deadline."""
        call = self._stub.ScrollVectors(request, metadata=self._about())
        pages = aiter(call)
        try:
            while True:
                async with asyncio.timeout(self._timeout_s):
                    page = await anext(pages, None)
                if page is None:
                    return
                yield page
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        except TimeoutError:
            raise DeadlineExceeded(f"no page of points within {self._timeout_s:g} s") from None
        finally:
            call.cancel()

    async def _call(self, method: Callable[..., Awaitable[A]], request: object) -> A:
        try:
            return await method(request, timeout=self._timeout_s, metadata=self._about())
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None

    def _about(self) -> tuple[tuple[str, str], ...]:
        job = CALLING_JOB.get()
        about = () if job is None else (("x-hanax-job", job),)
        if self._key_file is None:
            return about
        try:
            key = self._key_file.read_text().strip()
        except OSError as error:
            raise Unavailable(f"the key for the gateway can't be read: {error.strerror}") from None
        return (*about, ("x-api-key", key))
