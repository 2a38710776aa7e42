"""A gateway in memory, over real gRPC, that fails as it is told: what a processor does then is under test."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
from grpc import aio

from citadel.vector.v1 import vector_pb2 as pb
from citadel.vector.v1.vector_pb2_grpc import VectorServiceServicer, add_VectorServiceServicer_to_server
from hanax.core.errors import (
    CollectionExists,
    CollectionNotFound,
    DimensionMismatch,
    HanaxError,
    TextTooLong,
)
from hanax.core.ids import decode_id, hash_of
from hanax.rpc.errors import status_from_error

DIMENSION = 4
OTHER_DIMENSION = 6
DIMENSIONS = {"model-a": DIMENSION, "model-b": OTHER_DIMENSION}


class Held:
    """One collection: points by encoded id, and how often each was written."""

    def __init__(self, spec: pb.CollectionSpec) -> None:
        self.spec = spec
        self.uid = f"uid-{spec.name}"
        self.points: dict[bytes, tuple[str, list[float], dict[str, Any]]] = {}
        self.writes: Counter[bytes] = Counter()

    def ids(self) -> list[Any]:
        return sorted((decode_id(encoded) for encoded in self.points), key=str)

    def told(self) -> pb.Collection:
        return pb.Collection(uid=self.uid, spec=self.spec, points=len(self.points))


class GatewayDouble(VectorServiceServicer):
    """faults: what calls fail with, in order. before: is asked before each call, with its points or texts."""

    def __init__(self) -> None:
        self.address = ""
        self.collections: dict[str, Held] = {}
        self.aliases: dict[str, str] = {}
        self.faults: Iterator[HanaxError | None] = iter(())
        self.before: Callable[[int], Any] | None = None
        self.refuses_long = True
        self.most_at_once = 0
        self.at_once = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[GatewayDouble]:
        server = aio.server()
        add_VectorServiceServicer_to_server(self, server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield self
        finally:
            await server.stop(None)

    def add(self, name: str, model: str = "model-a", dimension: int = DIMENSION) -> Held:
        spec = pb.CollectionSpec(
            name=name, dimension=dimension, metric=pb.METRIC_COSINE, shards=1, embedding_model=model
        )
        held = self.collections[name] = Held(spec)
        return held

    async def GenerateEmbedding(self, request: Any, context: Any) -> Any:
        async with self._call(context, len(request.texts)):
            self._check(request.texts)
            rows = np.stack([vector_of(text, DIMENSIONS[request.model]) for text in request.texts])
            vectors = pb.Vectors(dimension=rows.shape[1], float32_le=rows.astype("<f4").tobytes())
            return pb.GenerateEmbeddingResponse(
                vectors=vectors, model=request.model, model_version="1", total_tokens=len(request.texts)
            )

    async def InsertVectors(self, request: Any, context: Any) -> Any:
        async with self._call(context, len(request.ids)):
            held = self._held(request.collection, request.collection_uid)
            self._check(request.texts)
            rows = iter(np.frombuffer(request.vectors.float32_le, "<f4").reshape(-1, held.spec.dimension))
            answer = pb.InsertVectorsResponse()
            for place, encoded in enumerate(request.ids):
                text = request.texts[place] if request.texts else ""
                vector = vector_of(text, held.spec.dimension) if text else next(rows)
                metadata = orjson.loads(request.metadata[place] or b"{}") if request.metadata else {}
                there = encoded in held.points
                if (request.mode == pb.INSERT_MODE_INSERT and there) or (
                    request.mode == pb.INSERT_MODE_UPDATE and not there
                ):
                    answer.skipped.append(place)
                    continue
                if text:
                    metadata.setdefault("text", text)
                held.points[encoded] = (text, vector.tolist(), metadata)
                held.writes[encoded] += 1
                answer.updated += there
                answer.inserted += not there
            return answer

    async def ScrollVectors(self, request: Any, context: Any) -> Any:
        held = self._held(request.collection, request.collection_uid)
        after = bytes.fromhex(request.cursor)
        order = sorted(held.points, key=lambda encoded: (hash_of(encoded), encoded))
        if after:
            order = [one for one in order if (hash_of(one), one) > (hash_of(after), after)]
        page = order[: request.limit]
        more = len(order) > len(page)
        columns = pb.PointColumns(ids=page)
        if request.fields.metadata:
            columns.metadata.extend(orjson.dumps(held.points[one][2]) for one in page)
        yield pb.ScrollVectorsResponse(points=columns, next_cursor=page[-1].hex() if more else "")

    async def CreateCollection(self, request: Any, context: Any) -> Any:
        async with self._call(context, 0):
            if request.spec.name in self.collections:
                raise CollectionExists("it is there")
            held = self.collections[request.spec.name] = Held(request.spec)
            return pb.CreateCollectionResponse(collection=held.told())

    async def GetCollection(self, request: Any, context: Any) -> Any:
        async with self._call(context, 0):
            return pb.GetCollectionResponse(collection=self._held(request.name, "").told())

    async def ChangeAliases(self, request: Any, context: Any) -> Any:
        async with self._call(context, 0):
            for change in request.changes:
                self.aliases[change.alias] = change.collection
            return pb.ChangeAliasesResponse()

    @asynccontextmanager
    async def _call(self, context: aio.ServicerContext[Any, Any], size: int) -> AsyncIterator[None]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.before is not None:
                await self.before(size)
            if fault := next(self.faults, None):
                raise fault
            yield
        except HanaxError as error:
            status = status_from_error(error)
            context.set_trailing_metadata(status.trailing_metadata)
            await context.abort(status.code, status.details)
        finally:
            self.at_once -= 1

    def _held(self, name: str, uid: str) -> Held:
        held = self.collections.get(self.aliases.get(name, name))
        if held is None or (uid and held.uid != uid):
            raise CollectionNotFound(f"there is no collection {name!r}")
        return held

    def _check(self, texts: Any) -> None:
        """A text that says so is refused by the gateway alone."""
        long = [place for place, text in enumerate(texts) if text.startswith("LONG")]
        if long and self.refuses_long:
            raise TextTooLong(f"texts[{long[0]}]: too long", indexes=long)
        if any(text.startswith("ODD") for text in texts):
            raise DimensionMismatch("something is odd, and nobody says what")


def vector_of(text: str, dimension: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Of length 1, another one for most texts."""
    angle = hash_of(b"\x03" + text.encode()) % 1_000 / 160
    vector = np.zeros(dimension, "f4")
    vector[0], vector[1] = np.cos(angle), np.sin(angle)
    return vector
