"""Points: stored, read, changed and removed."""

from __future__ import annotations

import time
from typing import Any, Final

from hxp_vector_client._stubs import points_pb2 as pb
from hxp_vector_client.columns import Columns
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.grpc_codec.columns import fields, records
from hxp_vector_client.grpc_codec.values import (
    LONG_TEXTS,
    decode_ids,
    encode_id,
    given_json,
    microseconds,
    vectors,
    word,
)
from hxp_vector_client.requests import Request

MODES: Final = {
    "upsert": pb.INSERT_MODE_UPSERT,
    "insert": pb.INSERT_MODE_INSERT,
    "update": pb.INSERT_MODE_UPDATE,
}
# An insert's `if_version` that any version fits.
_ANY = -1


def insert(request: Request) -> pb.InsertVectorsRequest:
    body, columns = request.body or {}, request.columns
    if columns is None:
        raise InvalidArgument("expected points")
    return pb.InsertVectorsRequest(
        collection=body["collection"],
        mode=word(MODES, body.get("mode", "upsert"), "mode"),
        ids=[encode_id(one) for one in columns.ids],
        vectors=None if columns.vectors is None else vectors(_rows(columns)),
        texts=None if columns.texts is None else [text or "" for text in columns.texts],
        metadata=None if columns.metadata is None else [given_json(one) for one in columns.metadata],
        if_versions=_if_versions(columns),
        expires_at_us=_expiries(columns),
        long_texts=word(LONG_TEXTS, body.get("long_texts", "truncate"), "long_texts"),
        urgent=body.get("urgent", False),
    )


def get(request: Request) -> pb.GetVectorsRequest:
    body = request.body or {}
    ids = [encode_id(one) for one in body["ids"]]
    return pb.GetVectorsRequest(
        collection=body["collection"], ids=ids, fields=fields(body, (True, True, True))
    )


def scroll(request: Request) -> pb.ScrollVectorsRequest:
    """One page: whoever wants more goes on from its cursor."""
    body = request.body or {}
    size = body.get("limit", 100)
    if not 1 <= size <= 1_000:
        # Nothing said would mean 100, and no end.
        raise InvalidArgument(f"limit: expected 1 to 1000, got {size}")
    return pb.ScrollVectorsRequest(
        collection=body["collection"],
        filter_json=given_json(body.get("filter")),
        page_size=size,
        limit=size,
        cursor=body.get("cursor") or "",
        fields=fields(body, (True, False, False)),
        order_by=_order(body.get("order_by")),
    )


def count(request: Request) -> pb.CountVectorsRequest:
    body = request.body or {}
    return pb.CountVectorsRequest(collection=body["collection"], filter_json=given_json(body.get("filter")))


def delete(request: Request) -> pb.DeleteVectorsRequest:
    body = request.body or {}
    ids = [encode_id(one) for one in body.get("ids") or ()]
    return pb.DeleteVectorsRequest(
        collection=body["collection"], ids=ids, filter_json=given_json(body.get("filter"))
    )


def set_metadata(request: Request) -> pb.UpdateVectorsMetadataRequest:
    body = request.body or {}
    message = pb.UpdateVectorsMetadataRequest(
        collection=body["collection"],
        ids=[encode_id(one) for one in body.get("ids") or ()],
        filter_json=given_json(body.get("filter")),
        merge_json=given_json(body.get("merge")),
        replace_json=given_json(body.get("replace")),
        delete_fields=body.get("delete") or (),
    )
    if "expires_at" in body:
        message.expires_at_us = 0 if body["expires_at"] is None else microseconds(body["expires_at"])
    return message


def read_inserted(answer: pb.InsertVectorsResponse, request: Request) -> dict[str, Any]:
    ids = request.columns.ids if request.columns is not None else decode_ids(answer.ids)
    return {
        "inserted": answer.inserted,
        "updated": answer.updated,
        "ids": ids,
        "versions": [version or None for version in answer.versions],
        "skipped": [ids[place] for place in answer.skipped],
        "truncated": [ids[place] for place in answer.truncated],
        "split": [ids[place] for place in answer.split],
    }


def read_points(answer: pb.GetVectorsResponse, request: Request) -> dict[str, Any]:
    found = records(answer.points, "embedding")
    collection = (request.body or {})["collection"]
    for record in found:
        record |= {"collection": collection, "model": answer.model or None}
    return {"vectors": found, "missing": decode_ids(answer.missing)}


def read_page(answer: pb.ScrollVectorsResponse, request: Request) -> dict[str, Any]:
    found = records(answer.points, "embedding")
    collection = (request.body or {})["collection"]
    for record in found:
        record["collection"] = collection
    return {"vectors": found, "next_cursor": answer.next_cursor or None}


def read_count(answer: pb.CountVectorsResponse, _: Request) -> dict[str, Any]:
    return {"count": answer.count}


def read_deleted(answer: pb.DeleteVectorsResponse, _: Request) -> dict[str, Any]:
    return {"deleted": answer.deleted}


def read_changed(answer: pb.UpdateVectorsMetadataResponse, request: Request) -> dict[str, Any]:
    data: dict[str, Any] = {"matched": answer.matched, "updated": answer.updated}
    if (request.body or {}).get("ids") is not None:
        data |= {
            "ids": decode_ids(answer.ids),
            "versions": list(answer.versions),
            "missing": decode_ids(answer.missing),
        }
    return data


def _rows(columns: Columns) -> Any:
    given = columns.vectors
    return [row for row in given if row is not None] if isinstance(given, list) else given


def _if_versions(columns: Columns) -> list[int] | None:
    if columns.if_versions is None:
        return None
    return [_ANY if version is None else version for version in columns.if_versions]


def _expiries(columns: Columns) -> list[int] | None:
    """Instants; a time to live is counted from now by this side's clock."""
    if columns.expires_at is None and columns.ttl_seconds is None:
        return None
    now_us = time.time_ns() // 1_000
    nothing = [None] * len(columns)
    return [
        microseconds(at) if at is not None else now_us + ttl * 1_000_000 if ttl is not None else 0
        for at, ttl in zip(columns.expires_at or nothing, columns.ttl_seconds or nothing, strict=True)
    ]


def _order(given: Any) -> pb.ScrollOrder | None:
    if given is None:
        return None
    if isinstance(given, str):
        return pb.ScrollOrder(field=given)
    direction = given.get("direction", "asc")
    if direction not in ("asc", "desc"):
        raise InvalidArgument(f"order_by.direction: expected asc or desc, got {direction!r}")
    return pb.ScrollOrder(field=given["field"], descending=direction == "desc")
