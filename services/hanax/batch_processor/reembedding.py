"""A whole collection with another model: from where to where.

The source is gone through once to be divided: a task is a run of points in scroll order, the order of the
hashes of ids, which writes do not disturb. A point that is written to the source after its run was read is
not in the target; one that is new in a run when that is read is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Final

import orjson

from citadel.vector.v1 import vector_pb2 as pb
from hanax.batch_processor.batches import Batch
from hanax.batch_processor.gateway import Gateway
from hanax.batch_processor.patience import Patience
from hanax.batch_processor.points import Point, failed_item
from hanax.batch_processor.sources import Item
from hanax.core.errors import CollectionExists, HanaxError, InvalidText
from hanax.core.ids import decode_id, encode_id, hash_of
from hanax.core.job_specs import Reembed
from hanax.core.texts import check_text
from hanax.metadata.jobs.job import FailedItem, Job
from hanax.metadata.jobs.task import Claim, NewTask

# Points in a page: what a scroll gives at most.
_PAGE: Final = 1_000
_LATER: Final = 1 << 40
_DIMENSION_PROBE: Final = "dimension"


async def make_target(gateway: Gateway, patience: Patience, spec: Reembed, source: pb.Collection) -> str:
    """Create the target as the source is, but for its model and dimension; its uid.

    A collection of that name that is just so and holds nothing is taken for it: an attempt may have made it
    unheard. Raises CollectionExists for any other.
    """
    probe = pb.GenerateEmbeddingRequest(model=spec.model, texts=[_DIMENSION_PROBE])
    read = await patience.run(lambda: gateway.embed(probe))
    wanted = pb.CollectionSpec()
    wanted.CopyFrom(source.spec)
    wanted.name = spec.target
    wanted.embedding_model = spec.model
    wanted.dimension = read.vectors.dimension
    try:
        return (await patience.run(lambda: gateway.create(wanted))).uid
    except CollectionExists:
        found = await patience.run(lambda: gateway.collection(spec.target))
        if found.spec != wanted or found.points:
            raise
        return found.uid


class Pages:
    """Pages of the job's collection, each with the job's patience: a stream would break with its server."""

    def __init__(self, gateway: Gateway, patience: Patience, job: Job) -> None:
        self._gateway = gateway
        self._patience = patience
        self._job = job

    async def get(self, cursor: str, size: int, *, metadata: bool) -> pb.ScrollVectorsResponse:
        request = pb.ScrollVectorsRequest(
            collection=self._job.collection or "",
            collection_uid=self._job.collection_uid or "",
            page_size=size,
            limit=size,
            cursor=cursor,
            fields=pb.PointFields(metadata=metadata),
        )
        return await self._patience.run(lambda: self._first(request))

    async def _first(self, request: pb.ScrollVectorsRequest) -> pb.ScrollVectorsResponse:
        async for page in self._gateway.scroll(request):
            return page
        return pb.ScrollVectorsResponse()


async def runs(
    pages: Pages, items: int, done: Mapping[str, Any] | None, target_uid: str
) -> AsyncIterator[NewTask]:
    """Tasks of about `items` points; those behind `done`, the position and end of the last one there is.

    A task's position: where its points begin, the encoded id of its last one, the uid of the target, and
    where the next one begins.
    """
    first = 0 if done is None else int(done["first"])
    begin = cursor = "" if done is None else str(done["next"])
    count = 0
    while cursor or not (first or count):
        page = await pages.get(cursor, _PAGE, metadata=False)
        count += len(page.points.ids)
        cursor = page.next_cursor
        if not count:
            return
        if count >= items or not cursor:
            last = page.points.ids[-1].hex()
            position = {"cursor": begin, "last": last, "target_uid": target_uid, "next": cursor}
            yield NewTask(first, count, position)
            first, count, begin = first + count, 0, cursor


class ScrollFeed:
    """`Feed` of a run of points of a collection. cursor: where the page behind a batch begins."""

    def __init__(self, pages: Pages, claim: Claim, spec: Reembed) -> None:
        self._pages = pages
        self._spec = spec
        self._position = claim.task.position
        self._task = claim.task

    async def batches(self, watermark: int, cursor: Mapping[str, Any] | None) -> AsyncGenerator[Batch, None]:
        at = str(self._position["cursor"] if cursor is None else cursor["next"])
        last = bytes.fromhex(str(self._position["last"]))
        end = (hash_of(last), last)
        place = watermark
        size = min(self._spec.batch_size, _PAGE)
        while cursor is None or at:
            page = await self._pages.get(at, size, metadata=True)
            batch = Batch([], [], {"next": page.next_cursor})
            for row, encoded in enumerate(page.points.ids):
                if (hash_of(encoded), encoded) > end:
                    batch.cursor = {"next": ""}
                    break
                batch.add(read_point(self._number(place), page.points, row, self._spec))
                place += 1
            if batch.items:
                yield batch
            cursor = batch.cursor
            at = str(batch.cursor["next"]) if batch.cursor else ""

    def _number(self, place: int) -> int:
        """Of the point at this place of the run. Those that came in between have numbers past all others."""
        task = self._task
        return task.first + place if place < task.count else _LATER + (task.number << 24) + place


class KeptPoints:
    """Points that failed before, as they were kept, for a retry."""

    def __init__(self, spec: Reembed) -> None:
        self._spec = spec

    def read(self, item: Item) -> Point | FailedItem:
        fields = item.fields
        if not fields:
            return failed_item(
                item, InvalidText("the point was too large to be kept; embed the collection anew")
            )
        metadata = orjson.dumps(fields["metadata"])
        expires_at_us = int(fields.get("expires_at_us", 0))
        return _point(item.number, encode_id(fields["id"]), metadata, expires_at_us, self._spec)

    def faults(self, points: Sequence[Point]) -> Mapping[int, HanaxError]:
        return {}


def read_point(number: int, columns: pb.PointColumns, row: int, spec: Reembed) -> Point | FailedItem:
    expires_at_us = columns.expires_at_us[row] if columns.expires_at_us else 0
    return _point(number, columns.ids[row], columns.metadata[row], expires_at_us, spec)


def _point(
    number: int, encoded: bytes, metadata: bytes, expires_at_us: int, spec: Reembed
) -> Point | FailedItem:
    held = orjson.loads(metadata) if metadata else {}
    fields = {"id": decode_id(encoded), "metadata": held, "expires_at_us": expires_at_us}
    point = Point(number, None, encoded, "", None, metadata, fields, expires_at_us=expires_at_us)
    try:
        point.text = check_text(_at(held, spec.text_field), spec.text_field)
    except HanaxError as error:
        return failed_item(point, error)
    return point


def _at(held: Mapping[str, Any], field: str) -> object:
    """The value of a dotted field, or of a field that is named with dots. Raises InvalidText."""
    value: object = held
    if field in held:
        return held[field]
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        raise InvalidText(f"the point has no text: no field {field!r} in its metadata", field=field)
    return value
