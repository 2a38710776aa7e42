"""Rendering: what service objects return, as JSON in the envelope.

Metadata leaves as the bytes that the shard sent, vectors as numpy rows: nothing is decoded to be
encoded again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from hanax.core.errors import HanaxError
from hanax.core.library_names import library_of
from hanax.gateway.calls import Call
from hanax.gateway.collections import Described, Listed
from hanax.gateway.envelope import wrap_data, wrap_error
from hanax.gateway.exchange_headers import retry_after_s
from hanax.gateway.graphql.errors import PATH as GRAPHQL_PATH
from hanax.gateway.graphql.errors import show_error
from hanax.gateway.hits import Hit
from hanax.gateway.index_reports import render_metadata, render_shard, render_totals
from hanax.gateway.provenance import split_provenance
from hanax.gateway.records import Record
from hanax.gateway.rest.library_errors import LIBRARY_PATHS, library_error
from hanax.gateway.rest.openai_errors import OPENAI_PATHS, openai_error, openai_status
from hanax.gateway.rest.problems import problem_answer, wants_problem
from hanax.rpc.errors import http_status

PROTOCOL: Final = "rest"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def call_of(request: Request) -> Call:
    """The call that the edge opened for this request."""
    call: Call = request.scope["state"]["call"]
    return call


def answer(
    request: Request, data: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return _json(wrap_data(call_of(request), PROTOCOL, data), status, headers or {})


def refuse(scope: Scope, error: HanaxError, headers: dict[str, str]) -> Response:
    """The answer for `error` to the request of `scope`, with `headers` beside its own."""
    call: Call = scope["state"]["call"]
    path: str = scope["path"]
    for_openai = path.startswith(OPENAI_PATHS)
    status = openai_status(error) if for_openai else http_status(error)
    if (after_s := retry_after_s(error)) is not None:
        headers = {**headers, "Retry-After": str(after_s)}
    if path == GRAPHQL_PATH:
        return _json(orjson.dumps({"errors": [show_error(error)]}, default=str), status, headers)
    if wants_problem(scope):
        return problem_answer(scope, call, error, status, headers)
    if path.startswith(LIBRARY_PATHS):
        return _json(orjson.dumps(library_error(error, path), default=str), status, headers)
    if for_openai:
        return _json(orjson.dumps(openai_error(error, status)), status, headers)
    return _json(wrap_error(call, PROTOCOL, error, path), status, headers)


def render_hit(hit: Hit) -> dict[str, Any]:
    record = hit.record
    shown: dict[str, Any] = {"id": record.id, "score": hit.score}
    _show_metadata(shown, record)
    if record.vector is not None:
        shown["vector"] = record.vector
    shown["created_at"] = render_instant(record.created_at_us)
    shown["updated_at"] = render_instant(record.updated_at_us)
    if record.expires_at_us is not None:
        shown["expires_at"] = render_instant(record.expires_at_us)
    if record.version is not None:
        shown["version"] = record.version
    return shown


def render_record(record: Record, collection: str, model: str | None) -> dict[str, Any]:
    """All that there is of a point; fields that were not asked for are left out."""
    shown: dict[str, Any] = {"id": record.id}
    if record.vector is not None:
        shown["embedding"] = record.vector
    _show_metadata(shown, record)
    shown["collection"] = collection
    shown["model"] = model
    shown["created_at"] = render_instant(record.created_at_us)
    shown["updated_at"] = render_instant(record.updated_at_us)
    if record.expires_at_us is not None:
        shown["expires_at"] = render_instant(record.expires_at_us)
    if record.version is not None:
        shown["version"] = record.version
    return shown


def _show_metadata(shown: dict[str, Any], record: Record) -> None:
    if record.metadata is not None:
        own, provenance = split_provenance(record.metadata)
        shown["metadata"] = orjson.Fragment(own)
        if provenance is not None:
            shown["provenance"] = orjson.Fragment(provenance)


def render_listed(listed: Listed) -> dict[str, Any]:
    return {
        **listed.spec.model_dump(mode="json"),
        "uid": listed.uid,
        "created_at": render_instant(listed.created_at_us),
        "state": listed.state,
        "aliases": listed.aliases,
        "library": library_of(listed.spec.name),
    }


def render_described(described: Described) -> dict[str, Any]:
    told = [shard.answer for shard in described.shards]
    return {
        **render_listed(described.listed),
        "points": described.points,
        "index_totals": render_totals(told),
        "metadata_indexes": render_metadata(told),
        "shard_states": [render_shard(shard) for shard in described.shards],
    }


def render_instant(microseconds: int) -> datetime:
    # Not fromtimestamp: a float loses microseconds.
    return _EPOCH + timedelta(microseconds=microseconds)


def _json(body: bytes, status: int, headers: dict[str, str]) -> Response:
    return Response(body, status, headers, "application/json")
