"""Points: which fields are asked for, and columns as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hxp_vector_client._stubs import columns_pb2 as pb
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.grpc_codec.values import decode_id, instant, read_json, read_vectors

# What is answered of a point where nothing is said: metadata, vectors, versions.
Defaults = tuple[bool, bool, bool]


def fields(body: Mapping[str, Any], defaults: Defaults) -> pb.PointFields:
    """Raises InvalidArgument for a vector that collections do not have."""
    metadata = body.get("include_metadata", defaults[0])
    vectors = body.get("include_vectors", defaults[1])
    if not isinstance(vectors, bool):
        for place, name in enumerate(vectors):
            if name != "default":
                raise InvalidArgument(f"include_vectors[{place}]: there is no vector {name!r}")
    named = [] if isinstance(metadata, bool) else list(metadata)
    return pb.PointFields(
        metadata=bool(metadata),
        vectors=bool(vectors),
        versions=body.get("include_version", defaults[2]),
        metadata_fields=named,
    )


def records(columns: pb.PointColumns, vector_name: str) -> list[dict[str, Any]]:
    """The points as REST has them; vectors are rows of one array."""
    found: list[dict[str, Any]] = [
        {"id": decode_id(one), "created_at": instant(created), "updated_at": instant(updated)}
        for one, created, updated in zip(
            columns.ids, columns.created_at_us, columns.updated_at_us, strict=True
        )
    ]
    for record, raw in zip(found, columns.metadata, strict=False):
        record["metadata"] = read_json(raw) or {}
    for record, raw in zip(found, columns.provenance, strict=False):
        record["provenance"] = read_json(raw)
    for record, at_us in zip(found, columns.expires_at_us, strict=False):
        if at_us:
            record["expires_at"] = instant(at_us)
    for record, version in zip(found, columns.versions, strict=False):
        record["version"] = version
    if columns.HasField("vectors"):
        for record, row in zip(found, read_vectors(columns.vectors), strict=False):
            record[vector_name] = row
    return found
