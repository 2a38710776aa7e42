"""What changes points that are there: deletes, and changes of metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.errors import InvalidExpiry
from hanax.core.ids import encode_id
from hanax.core.limits import MAX_INSTANT_US
from hanax.gateway.calls import Call
from hanax.gateway.change_requests import MetadataRequest
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_id, read_ids, read_json, read_message
from hanax.gateway.grpc.words import METADATA_MODE
from hanax.gateway.metadata_changes import MetadataChanges, OnePoint
from hanax.gateway.points import Points
from hanax.gateway.requests import DeleteRequest, MetadataMode, parse_request

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def change_methods(points: Points, changes: MetadataChanges) -> Methods:
    async def delete_one(call: Call, question: pb.DeleteVectorRequest) -> pb.DeleteVectorResponse:
        await points.delete_one(call, _one(question))
        return pb.DeleteVectorResponse()

    async def delete(call: Call, question: pb.DeleteVectorsRequest) -> pb.DeleteVectorsResponse:
        asked = parse_request(DeleteRequest, _chosen(question))
        return pb.DeleteVectorsResponse(deleted=await points.delete(call, asked))

    async def update(call: Call, question: pb.UpdateVectorMetadataRequest) -> pb.UpdateVectorMetadataResponse:
        mode = cast("MetadataMode", METADATA_MODE.read(question.mode, "mode"))
        metadata = read_json(question.metadata_json, "metadata_json")
        version = await changes.update_one(call, _one(question), metadata, mode)
        return pb.UpdateVectorMetadataResponse(version=version)

    async def change(
        call: Call, question: pb.UpdateVectorsMetadataRequest
    ) -> pb.UpdateVectorsMetadataResponse:
        done = await changes.change(call, parse_request(MetadataRequest, _change(question)))
        versions = done.versions or {}
        return pb.UpdateVectorsMetadataResponse(
            matched=done.matched,
            updated=done.updated,
            ids=map(encode_id, versions),
            versions=versions.values(),
            missing=map(encode_id, done.missing or ()),
        )

    return {
        "DeleteVector": Unary(pb.DeleteVectorRequest, delete_one),
        "DeleteVectors": Unary(pb.DeleteVectorsRequest, delete),
        "UpdateVectorMetadata": Unary(pb.UpdateVectorMetadataRequest, update),
        "UpdateVectorsMetadata": Unary(pb.UpdateVectorsMetadataRequest, change),
    }


def _one(question: pb.DeleteVectorRequest | pb.UpdateVectorMetadataRequest) -> OnePoint:
    version = question.if_version if question.HasField("if_version") else None
    return OnePoint(question.collection, read_id(question.id, "id"), version)


def _chosen(
    question: pb.DeleteVectorsRequest | pb.UpdateVectorsMetadataRequest, *without: str
) -> dict[str, Any]:
    """The points that are meant, and what else is set."""
    told = read_message(question, without=("ids", *without))
    told["collection"] = question.collection
    return {**told, "ids": read_ids(question.ids)} if question.ids else told


def _change(question: pb.UpdateVectorsMetadataRequest) -> dict[str, Any]:
    told = _chosen(question, "delete_fields", "expires_at_us")
    if question.delete_fields:
        told["delete"] = list(question.delete_fields)
    if question.HasField("expires_at_us"):
        told["expires_at"] = _instant(question.expires_at_us)
    return told


def _instant(microseconds: int) -> str | None:
    """As over REST; None: never. Raises InvalidExpiry."""
    if microseconds == 0:
        return None
    if not 0 < microseconds <= MAX_INSTANT_US:
        raise InvalidExpiry(
            f"expires_at_us: expected microseconds since 1970 up to the year 9999, got {microseconds}"
        )
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
