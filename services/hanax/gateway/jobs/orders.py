"""What the gateway orders: its jobs' bodies, written when they are submitted and read when they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from hanax.core.routing import CollectionRoute
from hanax.gateway.embedding_requests import EmbedOptions
from hanax.gateway.jobs.port import JobKind, JobOrder
from hanax.gateway.requests import InsertRequest


@dataclass(frozen=True, slots=True)
class EmbedOrder:
    texts: list[str]
    options: EmbedOptions


@dataclass(frozen=True, slots=True)
class InsertOrder:
    """uid: of the collection that was meant; another may have its name by now."""

    uid: str
    request: InsertRequest


def embed_order(model: str, texts: Sequence[str], options: EmbedOptions) -> JobOrder:
    fields = {name: getattr(options, name) for name in EmbedOptions.model_fields}
    body = orjson.dumps({"texts": texts, "options": fields})
    return JobOrder(JobKind.EMBED, model, len(texts), body)


def insert_order(
    model: str, route: CollectionRoute, request: InsertRequest, ids: Sequence[int | str], texts: int
) -> JobOrder:
    """ids: of all points, in order, so that a job that is done twice writes the same points."""
    points = cast("list[dict[str, Any]]", request.vectors)
    fields = dict(request) | {
        "collection": route.spec.name,
        "vectors": [{**point, "id": id_} for point, id_ in zip(points, ids, strict=True)],
    }
    body = orjson.dumps({"uid": route.uid, "request": fields})
    return JobOrder(JobKind.INSERT, model, texts, body)


def read_embed_order(body: bytes) -> EmbedOrder:
    told = orjson.loads(body)
    return EmbedOrder(told["texts"], EmbedOptions.model_validate(told["options"]))


def read_insert_order(body: bytes) -> InsertOrder:
    told = orjson.loads(body)
    return InsertOrder(told["uid"], InsertRequest.model_validate(told["request"]))
