"""Which document asks for what, and what its answer or its errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import from_json

from hxp_vector_client import operations as do
from hxp_vector_client.errors import BadAnswer, NotSupported, VectorError, error_from_code
from hxp_vector_client.graphql_codec import collections, jobs, libraries, platform, points
from hxp_vector_client.graphql_codec.writing import Asked, Document, ask
from hxp_vector_client.operations import Operation
from hxp_vector_client.requests import Request
from hxp_vector_client.rest_codec import seconds


def _alive(_: Request) -> Asked:
    return ask("query", "__typename", "")


def _read_alive(_: Any, __: Request) -> dict[str, Any]:
    return {"status": "ok"}


DOCUMENTS: Final[dict[Operation, Document]] = {
    do.SEARCH: points.SEARCH,
    do.SEARCH_BATCH: points.SEARCH_BATCH,
    do.SEARCH_GROUPS: points.SEARCH_GROUPS,
    do.RECOMMEND: points.RECOMMEND,
    do.FACET: points.FACET,
    do.DISTINCT: points.DISTINCT,
    do.COUNT: points.COUNT,
    do.SCROLL: points.SCROLL,
    do.GET_POINTS: points.GET,
    do.INSERT: points.INSERT,
    do.DELETE_POINTS: points.DELETE,
    do.SET_METADATA: points.SET_METADATA,
    do.EMBED: points.EMBED,
    do.CREATE_COLLECTION: collections.CREATE,
    do.GET_COLLECTION: collections.GET,
    do.LIST_COLLECTIONS: collections.LIST,
    do.UPDATE_COLLECTION: collections.UPDATE,
    do.DELETE_COLLECTION: collections.DELETE,
    do.LIST_ALIASES: collections.LIST_ALIASES,
    do.GET_ALIAS: collections.GET_ALIAS,
    do.SWITCH_ALIASES: collections.SWITCH_ALIASES,
    do.RERANK: collections.RERANK,
    do.MODEL_STATUS: collections.MODEL_STATUS,
    do.SUBMIT_JOB: jobs.SUBMIT,
    do.LIST_JOBS: jobs.LIST,
    do.GET_JOB: jobs.GET,
    do.JOB_ITEMS: jobs.ITEMS,
    do.PAUSE_JOB: jobs.PAUSE,
    do.RESUME_JOB: jobs.RESUME,
    do.RETRY_JOB: jobs.RETRY,
    do.CANCEL_JOB: jobs.CANCEL,
    do.QUEUE: jobs.QUEUE,
    do.CREATE_LIBRARY: libraries.CREATE,
    do.JOB_EVENTS: jobs.EVENTS,
    do.LIST_LIBRARIES: libraries.LIST,
    do.GET_LIBRARY: libraries.GET,
    do.UPDATE_LIBRARY: libraries.UPDATE,
    do.DELETE_LIBRARY: libraries.DELETE,
    do.BUILD_INDEX: libraries.BUILD_INDEX,
    do.GET_INDEX: libraries.GET_INDEX,
    do.QUERY_LIBRARY: libraries.QUERY,
    do.CREATE_DOCUMENT: libraries.CREATE_DOCUMENT,
    do.LIST_DOCUMENTS: libraries.LIST_DOCUMENTS,
    do.GET_DOCUMENT: libraries.GET_DOCUMENT,
    do.UPDATE_DOCUMENT: libraries.UPDATE_DOCUMENT,
    do.DELETE_DOCUMENT: libraries.DELETE_DOCUMENT,
    do.LIST_CHUNKS: libraries.LIST_CHUNKS,
    do.GET_CHUNK: libraries.GET_CHUNK,
    do.ADD_CHUNKS: libraries.ADD_CHUNKS,
    do.UPDATE_CHUNK: libraries.UPDATE_CHUNK,
    do.DELETE_CHUNK: libraries.DELETE_CHUNK,
    do.FORGET_JOB: jobs.FORGET,
    do.CREATE_KEY: platform.CREATE_KEY,
    do.LIST_KEYS: platform.LIST_KEYS,
    do.GET_KEY: platform.GET_KEY,
    do.ROTATE_KEY: platform.ROTATE_KEY,
    do.REVOKE_KEY: platform.REVOKE_KEY,
    do.LIST_OPERATIONS: platform.OPERATIONS,
    do.CACHE_STATS: platform.CACHE_STATS,
    do.WARM_CACHE: platform.WARM_CACHE,
    do.CLEAR_CACHE: platform.CLEAR_CACHE,
    do.HEALTH: Document(_alive, _read_alive),
}


def document_of(request: Request) -> Document:
    """Raises NotSupported."""
    document = DOCUMENTS.get(request.operation)
    if document is None or request.upload is not None:
        what = "a file with a job" if request.upload is not None else request.operation.name
        raise NotSupported(f"{what} is not there over GraphQL; the transport rest has it")
    return document


def read_answer(status: int, headers: Mapping[str, str], content: bytes) -> Any:
    """What the document's field answered. Raises the first error that is told, or BadAnswer."""
    try:
        answer = from_json(content)
        told = answer.get("errors") or answer.get("error")
        if not told:
            return answer["data"]["result"]
        error = _refusal(told[0] if isinstance(told, list) else told)
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = content[:200].decode("utf-8", "replace")
        error = BadAnswer(f"the server answered {status} with what is no answer of GraphQL: {shown!r}")
        error.status = status
    error.request_id = headers.get("x-request-id")
    if error.retry_after_s is None:
        error.retry_after_s = seconds(headers.get("retry-after"))
    raise error


def _refusal(told: Mapping[str, Any]) -> VectorError:
    """Of a field; or of the whole request, in the envelope of REST."""
    named = told.get("extensions") or told
    error = error_from_code(named["code"], told["message"], named.get("details"))
    error.status = named.get("http_status")
    after = error.details.get("retry_after_s")
    if isinstance(after, int | float):
        error.retry_after_s = float(after)
    return error
