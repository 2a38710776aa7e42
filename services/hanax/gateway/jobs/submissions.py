"""From what a user wrote to a job: checked against what there is, before its file is read.

Whatever goes wrong until the job is queued, nothing is left behind: an upload counts for nobody but its job.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

import orjson

from hanax.core.errors import (
    CollectionExists,
    FailedPrecondition,
    HanaxError,
    InvalidArgument,
    InvalidUpload,
    ModelConflict,
)
from hanax.core.job_formats import FORMAT_BY_ENDING, HEAD_BYTES, check_format
from hanax.core.job_specs import SPEC_BY_KIND, BulkEmbed, BulkInsert, JobKind, Reembed, UploadFormat
from hanax.core.json_values import kind_of
from hanax.core.library_names import check_free
from hanax.core.resources.names import AUTO
from hanax.core.routing import CollectionRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.guard.caller import Caller
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.jobs.store import JobStore
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedding, check_dimensions
from hanax.gateway.models.registry import Model
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.requests import parse_request
from hanax.gateway.routing import Routing
from hanax.metadata.jobs.job import Job, JobOrder

Spec = BulkEmbed | BulkInsert | Reembed

_SUBMITTED: Final = "submit_job"

# Rows of numbers without names: there are no texts among them.
_VECTORS_ALONE: Final = frozenset({UploadFormat.NPY, UploadFormat.FVECS})

# Items are written to an upload in portions of so many bytes.
_ITEMS_PORTION: Final = 1024 * 1024


class Submissions:
    """Each method raises DatabaseNotConfigured, DatabaseUnavailable, and Overloaded for too many jobs."""

    def __init__(self, routing: Routing, embedding: Embedding, store: JobStore, metrics: Metrics) -> None:
        self._routing = routing
        self._embedding = embedding
        self._store = store
        self._metrics = metrics

    async def submit(self, call: Call, told: object) -> Job:
        """A job whose items, if it has any, are in its body. told: decoded JSON.

        Raises an InvalidArgument, CollectionNotFound, CollectionExists, ModelNotFound, ModelConflict and
        FailedPrecondition.
        """
        with self._submitting(call, told) as spec:
            order = self._order(call.caller, spec)
            if isinstance(spec, Reembed):
                return await self._store.jobs.submit(order)
            if not spec.items:
                raise InvalidArgument(
                    "items: expected 1 or more; or the parts job and file of multipart/form-data"
                )
            if spec.format is not None:
                raise InvalidArgument("format: goes with an upload; items are JSON")
            _check_items(spec.items)
            return await self._hold_items(order, spec.items)

    async def submit_upload(self, call: Call, told: object, name: str, data: AsyncIterable[bytes]) -> Job:
        """The same with a file, which is stored while it arrives. name: as the user calls it, for its ending.

        Raises InvalidUpload and BodyTooLarge too.
        """
        with self._submitting(call, told) as spec:
            return await self._hold_upload(call, spec, name, data)

    async def submit_items(self, call: Call, order: JobOrder, items: list[dict[str, Any]]) -> Job:
        """A job of items that were checked as far as they shall be."""
        with self._metrics.changing(_SUBMITTED, order.collection, call):
            return await self._hold_items(order, items)

    @contextmanager
    def _submitting(self, call: Call, told: object) -> Iterator[Spec]:
        """What was told, and a line in the logs however it ends. What can't be read is of no collection."""
        try:
            spec = parse_spec(told)
        except HanaxError:
            with self._metrics.changing(_SUBMITTED, None, call):
                raise
        with self._metrics.changing(_SUBMITTED, spec.collection, call):
            yield spec

    async def _hold_upload(self, call: Call, spec: Spec, name: str, data: AsyncIterable[bytes]) -> Job:
        if isinstance(spec, Reembed):
            raise InvalidArgument("a reembed takes no file: its items are the points of its collection")
        if spec.items:
            raise InvalidArgument("items: go without a file")
        format_ = spec.format or _format_of(name)
        if isinstance(spec, BulkEmbed) and format_ in _VECTORS_ALONE:
            raise InvalidUpload(f"{format_} files hold vectors and no texts; bulk_insert takes them")
        order = self._order(call.caller, spec.model_copy(update={"format": format_}))
        head = bytearray()
        checked = False
        async with self._store.uploads.create() as upload:
            async for portion in data:
                if not checked:
                    head += portion[: HEAD_BYTES - len(head)]
                    if checked := len(head) >= HEAD_BYTES:
                        check_format(bytes(head), format_)
                await upload.write(portion)
            if not checked:
                check_format(bytes(head), format_)
            await upload.finish()
        return await self._queue(order, upload.id, None)

    async def _hold_items(self, order: JobOrder, items: list[dict[str, Any]]) -> Job:
        lines = bytearray()
        async with self._store.uploads.create() as upload:
            for index, item in enumerate(items):
                lines += _line_of(item, index)
                if len(lines) >= _ITEMS_PORTION:
                    await upload.write(bytes(lines))
                    lines.clear()
            await upload.write(bytes(lines))
            await upload.finish()
        return await self._queue(order, upload.id, len(items))

    async def _queue(self, order: JobOrder, upload_id: str, total: int | None) -> Job:
        try:
            return await self._store.jobs.submit(replace(order, total=total, upload_id=upload_id))
        except BaseException:
            # If it was queued all the same, unheard, the upload is its own, and stays.
            with suppress(HanaxError):
                await self._store.uploads.delete(upload_id)
            raise

    def _order(self, caller: Caller, spec: Spec) -> JobOrder:
        """What the spec names, as it is now, for a caller who may do all that the job will do."""
        caller.require_unconfined("a job")
        caller.require_some(Scope.WRITE, "jobs")
        if isinstance(spec, BulkInsert):
            return order_of(spec, self._routing.writable(caller, spec.collection), None)
        route, model = (
            self._embed_target(caller, spec)
            if isinstance(spec, BulkEmbed)
            else self._reembedded(caller, spec)
        )
        return order_of(spec, route, model.route.name)

    def _embed_target(self, caller: Caller, spec: BulkEmbed) -> tuple[CollectionRoute | None, Model]:
        if spec.collection is None:
            model = self._embedding.choose(spec.model)
            check_dimensions(model.route, Wanted(dimensions=spec.dimensions))
            return None, model
        route = self._routing.writable(caller, spec.collection)
        if spec.model == AUTO and route.spec.embedding_model is None:
            raise FailedPrecondition(
                f"model: collection {route.spec.name!r} has no embedding model: name one that makes "
                f"vectors of {route.spec.dimension} numbers",
                collection=route.spec.name,
            )
        if spec.model in (AUTO, route.spec.embedding_model):
            return route, self._embedding.model_of(route.spec)
        model = self._embedding.choose(spec.model)
        _check_model(route.spec, model)
        return route, model

    def _reembedded(self, caller: Caller, spec: Reembed) -> tuple[CollectionRoute, Model]:
        caller.require(Scope.READ, self._routing.table.resolve(spec.collection), spec.collection)
        route = self._routing.writable(caller, spec.collection)
        caller.require(Scope.ADMIN, spec.target)
        if spec.alias is not None:
            caller.require(Scope.ADMIN, spec.alias)
            caller.require(Scope.ADMIN, self._routing.table.resolve(spec.alias), spec.alias)
        table = self._routing.table
        for name, what in ((spec.target, "target"), (spec.alias, "alias")):
            if name is not None and name in table.collection_by_name:
                raise CollectionExists(f"{what}: there is a collection {name!r} already", collection=name)
        if table.resolve(spec.target) != spec.target or spec.target == spec.alias:
            raise CollectionExists(f"target: {spec.target!r} is an alias", collection=spec.target)
        check_free(spec.target)
        if spec.model == AUTO:
            raise InvalidArgument("model: a reembed needs the model's name")
        return route, self._embedding.choose(spec.model)


def parse_spec(told: object) -> Spec:
    """Decoded JSON as the spec of its kind. Raises InvalidArgument, or the error of the first wrong field."""
    if not isinstance(told, dict):
        raise InvalidArgument(f"expected an object, got {kind_of(told)}")
    kinds = ", ".join(JobKind)
    kind = told.get("kind")
    if not isinstance(kind, str) or kind not in set(JobKind):
        got = "none" if kind is None else repr(kind[:60]) if isinstance(kind, str) else kind_of(kind)
        raise InvalidArgument(f"kind: expected one of {kinds}, got {got}")
    model: type[Spec] = SPEC_BY_KIND[JobKind(kind)]
    return parse_request(model, told)


def order_of(spec: Spec, route: CollectionRoute | None, model: str | None) -> JobOrder:
    """route: of the collection that is meant; another of its name, later on, is not."""
    kept = spec.model_dump(mode="json", exclude={"items"})
    if not isinstance(spec, Reembed) and spec.format is None:
        kept["format"] = UploadFormat.JSONL.value
    return JobOrder(
        kind=spec.kind,
        spec=kept,
        priority=spec.priority,
        model=model,
        collection=None if route is None else route.spec.name,
        collection_uid=None if route is None else route.uid,
    )


def _check_model(spec: CollectionSpec, model: Model) -> None:
    if spec.embedding_model is not None:
        raise ModelConflict(
            f"collection {spec.name!r} has the embedding model {spec.embedding_model!r}, the job names "
            f"{model.route.name!r}",
            collection=spec.name,
            model=model.route.name,
        )
    if model.route.dimension != spec.dimension:
        raise ModelConflict(
            f"embedding model {model.route.name!r} makes vectors of {model.route.dimension} numbers, "
            f"collection {spec.name!r} takes {spec.dimension}",
            collection=spec.name,
            model=model.route.name,
            expected=spec.dimension,
            got=model.route.dimension,
        )


def _check_items(items: list[dict[str, Any]]) -> None:
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidArgument(f"items[{index}]: expected an object, got {kind_of(item)}", index=index)


def _line_of(item: dict[str, Any], index: int) -> bytes:
    """An item as a line. What JSON has no form for is written as it was told, and fails when it is read.

    Raises InvalidArgument for an item that is too deep to be written.
    """
    with suppress(TypeError):
        line = orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE)
        # NaN would be null.
        if b"null" not in line or orjson.loads(line) == item:
            return line
    try:
        return json.dumps(item).encode() + b"\n"
    except RecursionError:
        raise InvalidArgument(f"items[{index}]: nested too deep", index=index) from None


def _format_of(name: str) -> UploadFormat:
    found = FORMAT_BY_ENDING.get(PurePosixPath(name.lower()).suffix)
    if found is None:
        raise InvalidUpload(
            f"format: can't tell it from the file's name; expected one of {', '.join(UploadFormat)}, or a "
            f"name that ends in one of {', '.join(FORMAT_BY_ENDING)}"
        )
    return found
