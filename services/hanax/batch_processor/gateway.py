"""The gateway as jobs see it: its gRPC door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from grpc import aio

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceStub
from hanax.core.errors import CollectionNotFound, DeadlineExceeded
from hanax.rpc.channels import SPREAD_OPTIONS
from hanax.rpc.errors import error_from_call

if TYPE_CHECKING:
    from citadel.vector.v1.vector_pb2_grpc import VectorServiceAsyncStub

A = TypeVar("A")

_INSERT: Final = f"/{pb.DESCRIPTOR.services_by_name['VectorService'].full_name}/InsertVectors"


class Gateway:
    """Each call raises what its failure means, a HanaxError. timeout_s: of one call, and of one page."""

    def __init__(self, address: str, timeout_s: float) -> None:
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
        return await self._call(lambda: self._stub.GenerateEmbedding(request, timeout=self._timeout_s))

    async def insert(self, request: pb.InsertVectorsRequest) -> pb.InsertVectorsResponse:
        return await self._call(lambda: self._stub.InsertVectors(request, timeout=self._timeout_s))

    async def insert_encoded(self, request: bytes) -> pb.InsertVectorsResponse:
        """As `insert`, of a message that is encoded already."""
        return await self._call(lambda: self._insert(request, timeout=self._timeout_s))

    async def collection(self, name: str, uid: str | None = None) -> pb.Collection:
        """By its name or an alias. Raises CollectionNotFound, also when it has another uid."""
        request = pb.GetCollectionRequest(name=name)
        answer = await self._call(lambda: self._stub.GetCollection(request, timeout=self._timeout_s))
        found = answer.collection
        if uid and found.uid != uid:
            raise CollectionNotFound(
                f"the collection {name!r} that was meant is gone; another has its name", collection=name
            )
        return found

    async def create(self, spec: pb.CollectionSpec) -> pb.Collection:
        request = pb.CreateCollectionRequest(spec=spec)
        answer = await self._call(lambda: self._stub.CreateCollection(request, timeout=self._timeout_s))
        return answer.collection

    async def point_alias(self, alias: str, collection: str) -> None:
        """Make the alias stand for the collection, whatever it stood for."""
        change = pb.AliasChange(alias=alias, collection=collection)
        request = pb.ChangeAliasesRequest(changes=[change])
        await self._call(lambda: self._stub.ChangeAliases(request, timeout=self._timeout_s))

    async def scroll(self, request: pb.ScrollVectorsRequest) -> AsyncIterator[pb.ScrollVectorsResponse]:
        """Pages until there is nothing after them. How long they lie here unread counts for no deadline."""
        call = self._stub.ScrollVectors(request)
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

    async def _call(self, call: Callable[[], Awaitable[A]]) -> A:
        try:
            return await call()
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
