"""The conditions of writes, from wire messages to the engine and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument, VersionConflict
from hanax.core.ids import encode_id
from hanax.core.limits import MAX_CHANGED_FIELDS
from hanax.engine.shard import Conditions, MetadataChange, WriteMode
from hanax.engine.shard.conditions import UNCONDITIONAL
from hanax.index_shard.messages import decode_field

_MODES: Final = {
    pb.WRITE_MODE_UNSPECIFIED: WriteMode.UPSERT,
    pb.WRITE_MODE_UPSERT: WriteMode.UPSERT,
    pb.WRITE_MODE_INSERT: WriteMode.INSERT,
    pb.WRITE_MODE_UPDATE: WriteMode.UPDATE,
}
_REPLACE_BY_MODE: Final = {pb.METADATA_MODE_MERGE: False, pb.METADATA_MODE_REPLACE: True}


def decode_conditions(request: pb.UpsertRequest, ids: Sequence[bytes]) -> Conditions:
    mode = _MODES.get(request.mode)
    if mode is None:
        raise InvalidArgument(f"there is no write mode {request.mode}")
    if_versions = decode_if_versions(request.if_versions, ids)
    if mode is WriteMode.UPSERT and not if_versions:
        return UNCONDITIONAL
    return Conditions(mode, if_versions)


def decode_if_versions(versions: Sequence[int], ids: Sequence[bytes]) -> dict[bytes, int]:
    """The version that each point must have, by id; points that may have any are left out."""
    if not versions:
        return {}
    if len(versions) != len(ids):
        raise InvalidArgument(f"{len(ids)} ids came with {len(versions)} versions")
    if min(versions) < -1:
        raise InvalidArgument(f"a version is at least 0, or -1 for any, got {min(versions)}")
    return {id_: version for id_, version in zip(ids, versions, strict=True) if version >= 0}


def decode_expiries(request: pb.UpsertRequest) -> NDArray[np.int64] | None:
    """When each point expires, int64[n]; None: none does."""
    return np.array(request.expires_at_us, np.int64) if request.expires_at_us else None


def decode_replace(mode: pb.MetadataMode.ValueType) -> bool:
    """Whether a metadata object is replaced, not merged."""
    replace = _REPLACE_BY_MODE.get(mode)
    if replace is None:
        raise InvalidArgument("expected mode METADATA_MODE_MERGE or METADATA_MODE_REPLACE")
    return replace


def decode_change(request: pb.ChangeMetadataRequest) -> MetadataChange:
    if len(request.delete_fields) > MAX_CHANGED_FIELDS:
        raise InvalidArgument(
            f"a call deletes at most {MAX_CHANGED_FIELDS} fields, got {len(request.delete_fields)}"
        )
    return MetadataChange(
        request.metadata or b"{}",
        decode_replace(request.mode),
        tuple(decode_field(field) for field in request.delete_fields),
        request.expires_at_us if request.HasField("expires_at_us") else None,
    )


def encode_conflicts(conflict: VersionConflict) -> list[pb.Conflict]:
    """In the answer, not as an error: those that a batch may have are too many for a status."""
    return [
        pb.Conflict(id=encode_id(one["id"]), expected=one["expected"], found=one["found"])
        for one in conflict.details["conflicts"]
    ]
