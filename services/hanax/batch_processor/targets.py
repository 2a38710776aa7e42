"""Where a job's points go: into a collection, or into the part of a result file.

A point that the gateway refuses is taken out of its batch by the position that the error names, and what is
left is sent again; where none is named the batch is halved until the bad one is alone.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import orjson

from citadel.vector.v1 import vector_pb2 as pb
from hanax.batch_processor.batches import Batch, Outcome
from hanax.batch_processor.columns import PointColumns
from hanax.batch_processor.gateway import Gateway
from hanax.batch_processor.patience import Patience
from hanax.batch_processor.points import ANY_VERSION, Point, Vector, failed_item
from hanax.batch_processor.results import Record, writer_of
from hanax.core.errors import HanaxError, InvalidArgument, VersionConflict
from hanax.core.job_specs import BulkEmbed, LongTexts
from hanax.rpc.encoding import field_start

_LONG_TEXTS: Final = {
    "truncate": pb.LONG_TEXT_RULE_TRUNCATE,
    "refuse": pb.LONG_TEXT_RULE_REFUSE,
    "split": pb.LONG_TEXT_RULE_SPLIT,
}
_MODES: Final = {
    "upsert": pb.INSERT_MODE_UPSERT,
    "insert": pb.INSERT_MODE_INSERT,
    "update": pb.INSERT_MODE_UPDATE,
}
_PURPOSES: Final = {
    "query": pb.TEXT_PURPOSE_QUERY,
    "document": pb.TEXT_PURPOSE_DOCUMENT,
    "none": pb.TEXT_PURPOSE_UNSPECIFIED,
}
# How messages of the gateway begin that are about one of many.
_PLACE: Final = re.compile(r"^[a-z_]+\[\d+\]")


@dataclass(frozen=True, slots=True)
class Into:
    """The collection that points go into; uid: of the one that is meant.

    model: of their texts, where the collection has none of its own; empty: it has.
    """

    collection: str
    uid: str
    mode: Literal["upsert", "insert", "update"] = "upsert"
    long_texts: LongTexts = "truncate"
    model: str = ""


class CollectionTarget:
    """`Target`: points in a collection."""

    def __init__(self, gateway: Gateway, patience: Patience, into: Into) -> None:
        self._gateway = gateway
        self._patience = patience
        self._into = into

    async def take(self, batch: Batch) -> Outcome:
        columns = batch.columns
        if columns is None:
            return await self._take_points(batch)
        request = encode_insert(self._into, columns)
        try:
            answer = await self._patience.run(lambda: self._gateway.insert_encoded(request))
        except (InvalidArgument, VersionConflict):
            outcome = Outcome()
            for few in await asyncio.to_thread(list, batch.rows()):
                outcome.add(await self._take_points(few))
            return outcome
        return _stored(len(columns.ids), answer)

    async def _take_points(self, batch: Batch) -> Outcome:
        outcome = Outcome(failed=list(batch.failed), cursor=batch.cursor)
        for points in calls_of(batch.points):
            outcome.add(await isolated(points, lambda some: self._patience.run(lambda: self._store(some))))
        outcome.failed.sort(key=lambda failed: failed.number)
        return outcome

    async def _store(self, points: Sequence[Point]) -> Outcome:
        # An attempt before this one may have embedded them.
        texts = [point for point in points if point.vector is None] if self._into.model else []
        read = await self._embed(texts) if texts else None
        answer = await self._gateway.insert(self._request(points))
        return _stored(len(points), answer, read)

    async def _embed(self, points: Sequence[Point]) -> pb.GenerateEmbeddingResponse:
        """Give the points vectors in place of their texts, which go where the gateway would put them."""
        request = pb.GenerateEmbeddingRequest(
            model=self._into.model,
            texts=[point.text for point in points],
            purpose=pb.TEXT_PURPOSE_DOCUMENT,
            long_texts=_LONG_TEXTS[self._into.long_texts],
        )
        answer = await self._gateway.embed(request)
        for point, row in zip(points, _rows(answer), strict=True):
            point.metadata = orjson.dumps({"text": point.text, **orjson.loads(point.metadata or b"{}")})
            point.vector = row
        return answer

    def _request(self, points: Sequence[Point]) -> pb.InsertVectorsRequest:
        request = pb.InsertVectorsRequest(
            collection=self._into.collection,
            collection_uid=self._into.uid,
            mode=_MODES[self._into.mode],
            ids=[point.id for point in points],
            long_texts=_LONG_TEXTS[self._into.long_texts],
        )
        if vectors := [point.vector for point in points if point.vector is not None]:
            request.vectors.CopyFrom(_vectors(vectors))
        if len(vectors) < len(points):
            request.texts.extend(point.text for point in points)
        if any(point.metadata for point in points):
            request.metadata.extend(point.metadata for point in points)
        if any(point.if_version != ANY_VERSION for point in points):
            request.if_versions.extend(point.if_version for point in points)
        if any(point.expires_at_us for point in points):
            request.expires_at_us.extend(point.expires_at_us for point in points)
        return request


def encode_insert(into: Into, columns: PointColumns) -> bytes:
    """A citadel.vector.v1.InsertVectorsRequest, written around the vectors."""
    small = pb.InsertVectorsRequest(
        collection=into.collection,
        collection_uid=into.uid,
        mode=_MODES[into.mode],
        ids=columns.ids,
        metadata=columns.metadata,
        long_texts=_LONG_TEXTS[into.long_texts],
    )
    matrix = columns.vectors.astype("<f4", copy=False)
    head = pb.Vectors(dimension=matrix.shape[1]).SerializeToString()
    head += field_start(pb.Vectors.FLOAT32_LE_FIELD_NUMBER, matrix.nbytes)
    start = field_start(pb.InsertVectorsRequest.VECTORS_FIELD_NUMBER, len(head) + matrix.nbytes)
    return b"".join((small.SerializeToString(), start, head, matrix.data))


def _stored(
    points: int, answer: pb.InsertVectorsResponse, read: pb.GenerateEmbeddingResponse | None = None
) -> Outcome:
    """What came of points that went in one call. read: of their texts, where they were embedded before."""
    counts = {
        "inserted": answer.inserted,
        "updated": answer.updated,
        "skipped": len(answer.skipped),
        "truncated": len((read or answer).truncated),
        "split": len((read or answer).split),
    }
    return Outcome(done=points, counts=Counter({name: count for name, count in counts.items() if count}))


class ResultTarget:
    """`Target`: vectors of texts, in the form of the result file."""

    def __init__(self, gateway: Gateway, patience: Patience, model: str, spec: BulkEmbed) -> None:
        self._gateway = gateway
        self._patience = patience
        self._writer = writer_of(spec.result_format)
        self._model = model
        self._spec = spec

    async def take(self, batch: Batch) -> Outcome:
        outcome = Outcome(failed=list(batch.failed), cursor=batch.cursor)
        # Rows of a file, in their order: two may have the same id.
        outcome.add(await isolated(batch.points, lambda some: self._patience.run(lambda: self._embed(some))))
        outcome.failed.sort(key=lambda failed: failed.number)
        return outcome

    async def _embed(self, points: Sequence[Point]) -> Outcome:
        spec = self._spec
        answer = await self._gateway.embed(
            pb.GenerateEmbeddingRequest(
                model=self._model,
                texts=[point.text for point in points],
                purpose=_PURPOSES[spec.purpose],
                long_texts=_LONG_TEXTS[spec.long_texts],
                dimensions=spec.dimensions or 0,
                normalize=spec.normalize,
            )
        )
        rows = zip(points, _rows(answer), strict=True)
        records = [Record(point.number, point.id, row) for point, row in rows]
        counts = {
            "truncated": len(answer.truncated),
            "split": len(answer.split),
            "tokens": answer.total_tokens,
        }
        return Outcome(
            done=len(points),
            counts=Counter({name: count for name, count in counts.items() if count}),
            facts={
                "model": answer.model,
                "model_version": answer.model_version,
                "dimension": answer.vectors.dimension,
            },
            # A batch of JSON takes a thread some milliseconds.
            result=[await asyncio.to_thread(self._writer.encode, records)],
        )


async def isolated(points: Sequence[Point], send: Callable[[Sequence[Point]], Awaitable[Outcome]]) -> Outcome:
    """Send all; those that are refused fail alone. A call after a refusal is smaller than that one."""
    outcome = Outcome()
    left = list(points)
    while left:
        try:
            outcome.add(await send(left))
            return outcome
        except (InvalidArgument, VersionConflict) as error:
            bad = _named(error, len(left)) if len(left) > 1 else {0}
            if not bad:
                half = len(left) // 2
                outcome.add(await isolated(left[:half], send))
                left = left[half:]
                continue
            outcome.failed += [failed_item(left[place], _of_one(error, left[place])) for place in sorted(bad)]
            left = [point for place, point in enumerate(left) if place not in bad]
    return outcome


def _named(error: HanaxError, points: int) -> set[int]:
    """Positions of the bad points, as far as the error says."""
    told = error.details.get("indexes")
    places = told if isinstance(told, list) else [error.details.get("index")]
    return {place for place in places if type(place) is int and 0 <= place < points}


def _of_one(error: HanaxError, point: Point) -> HanaxError:
    """The same, in words that hold outside of its batch."""
    return type(error)(_PLACE.sub(f"item {point.number}", error.message), **error.details)


def calls_of(points: Sequence[Point]) -> list[list[Point]]:
    """Points that go together, in order. No id is twice in one call: of two the later one stays.

    A point that must have a version goes alone: what an attempt stored unheard would be refused with others.
    """
    plain: list[list[Point]] = []
    alone: list[list[Point]] = []
    seen: dict[bytes, int] = {}
    for point in points:
        if point.if_version != ANY_VERSION:
            alone.append([point])
            continue
        wave = seen.get(point.id, -1) + 1
        seen[point.id] = wave
        if wave == len(plain):
            plain.append([])
        plain[wave].append(point)
    return [*plain, *alone]


def _rows(answer: pb.GenerateEmbeddingResponse) -> npt.NDArray[np.float32]:
    return np.frombuffer(answer.vectors.float32_le, "<f4").reshape(-1, answer.vectors.dimension)


def _vectors(rows: Sequence[Vector]) -> pb.Vectors:
    matrix = np.stack(rows).astype("<f4", copy=False)
    return pb.Vectors(dimension=matrix.shape[1], float32_le=matrix.tobytes())
