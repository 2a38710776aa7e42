"""What changes points that are there: deletes, and changes of metadata."""

from __future__ import annotations

from typing import Any, cast

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.ids import encode_id
from hanax.gateway.calls import Call
from hanax.gateway.change_requests import MetadataRequest
from hanax.gateway.grpc.instants import read_instant
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_id, read_ids, read_json, read_message
from hanax.gateway.grpc.words import METADATA_MODE
from hanax.gateway.metadata_changes import MetadataChanges, OnePoint
from hanax.gateway.points import Points
from hanax.gateway.requests import DeleteRequest, MetadataMode, parse_request


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
        "DeleteVector": Unary(pb.DeleteVectorRequest, delete_one, changes=True),
        "DeleteVectors": Unary(pb.DeleteVectorsRequest, delete, changes=True),
        "UpdateVectorMetadata": Unary(pb.UpdateVectorMetadataRequest, update, changes=True),
        "UpdateVectorsMetadata": Unary(pb.UpdateVectorsMetadataRequest, change, changes=True),
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
        at_us = question.expires_at_us
        told["expires_at"] = read_instant(at_us, "expires_at_us") if at_us else None
    return told
