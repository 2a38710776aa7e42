"""Changing the metadata of points that are there. What goes to one shard is stored whole or not at all,
but for a change of all points that match, which shards make part after part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument, PartialWrite
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.routing import CollectionRoute
from hanax.core.versions import version_conflict
from hanax.gateway.calls import Call
from hanax.gateway.change_requests import MetadataRequest
from hanax.gateway.expiries import read_new_expiry
from hanax.gateway.metadata import check_own, encode_metadata
from hanax.gateway.outcomes import (
    Conditional,
    conflicts_of,
    failed_shards,
    points_of,
    split,
)
from hanax.gateway.queries import point_not_found
from hanax.gateway.requests import MetadataMode, encode_filter, parse_ids
from hanax.gateway.shards import for_each_shard, refer, rows_by_shard
from hanax.gateway.upstreams import Upstreams

_MODES: Final[dict[MetadataMode, pb.MetadataMode.ValueType]] = {
    "merge": pb.METADATA_MODE_MERGE,
    "replace": pb.METADATA_MODE_REPLACE,
}


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """matched: points that were there, and matched. updated: those that were changed.

    versions: of each point found, by id; missing: ids that no point has. Both None for a filter.
    """

    matched: int
    updated: int
    versions: dict[PointId, int] | None = None
    missing: list[PointId] | None = None


@dataclass(frozen=True, slots=True)
class OnePoint:
    """if_version: the version that the point must have; None: any."""

    collection: str
    id: PointId
    if_version: int | None = None

    @property
    def if_versions(self) -> list[int]:
        return [] if self.if_version is None else [self.if_version]


class MetadataChanges:
    """Each method raises CollectionNotFound, an InvalidArgument, PartialWrite, StorageFull,
    Overloaded, Unavailable or DeadlineExceeded.
    """

    def __init__(self, upstreams: Upstreams, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._via = upstreams
        self._now_us = now_us

    async def update_one(self, call: Call, point: OnePoint, metadata: object, mode: MetadataMode) -> int:
        """Merge into one point's metadata, or replace it; its new version.

        Raises PointNotFound or VersionConflict.
        """
        with self._via.metrics.changing("update_metadata", point.collection, call):
            route = self._via.routing.writable(call.caller, point.collection)
            encoded = encode_id(point.id)
            raw = encode_metadata(metadata, "metadata")
            (shard,) = rows_by_shard(route, [encoded])
            order = pb.UpdateMetadataRequest(
                ref=refer(route, shard),
                ids=[encoded],
                metadata=[raw],
                mode=_MODES[mode],
                if_versions=point.if_versions,
            )
            call.grant(self._via.timeouts.request_s)
            answer = await self._via.writes.tell_one(
                call, route, lambda stub: stub.UpdateMetadata, {shard: order}
            )
            if answer.missing:
                raise point_not_found(point.collection, point.id)
            check_conflict(answer, point)
            call.items += 1
            return answer.sequence

    async def change(self, call: Call, request: MetadataRequest) -> MetadataChanged:
        """The same change of many points. Unknown ids are named, not an error."""
        with self._via.metrics.changing("change_metadata", request.collection, call):
            route = self._via.routing.writable(call.caller, request.collection)
            if (request.ids is None) == (request.filter is None):
                got = "neither" if request.ids is None else "both"
                raise InvalidArgument(f"expected either ids or filter, got {got}")
            order = _order(request)
            if "expires_at" in request.model_fields_set:
                order.expires_at_us = read_new_expiry(request.expires_at, self._now_us())
            if request.ids is not None:
                return await self._change_ids(call, route, order, parse_ids(request.ids))
            order.filter_json = encode_filter(request.filter)
            return await self._change_matching(call, route, order)

    async def _change_ids(
        self, call: Call, route: CollectionRoute, order: pb.ChangeMetadataRequest, ids: list[bytes]
    ) -> MetadataChanged:
        rows = rows_by_shard(route, ids)
        orders = {
            shard: _addressed(order, refer(route, shard), [ids[row] for row in shard_rows])
            for shard, shard_rows in rows.items()
        }
        call.grant(self._via.timeouts.request_s)
        ended = await self._via.writes.tell(call, route, lambda stub: stub.ChangeMetadata, orders)
        answers, failures = split(ended)
        done = _sum(answers)
        call.items += done.updated
        if failures:
            failed = points_of(failures, rows, [decode_id(encoded) for encoded in ids])
            raise PartialWrite(
                f"{done.updated} points are changed, {len(failed)} could not be reached; "
                "send the request again",
                matched=done.matched,
                updated=done.updated,
                failed=failed,
            )
        version_by_row = {
            row: version
            for shard, answer in answers.items()
            for row, version in zip(rows[shard], answer.versions, strict=True)
        }
        versions = {decode_id(encoded): version_by_row[row] for row, encoded in enumerate(ids)}
        return replace(
            done,
            versions={id_: version for id_, version in versions.items() if version},
            missing=[id_ for id_, version in versions.items() if not version],
        )

    async def _change_matching(
        self, call: Call, route: CollectionRoute, order: pb.ChangeMetadataRequest
    ) -> MetadataChanged:
        orders = for_each_shard(route, lambda ref: _addressed(order, ref, []))
        call.grant(self._via.timeouts.request_s)
        ended = await self._via.writes.tell(call, route, lambda stub: stub.ChangeMetadata, orders)
        answers, failures = split(ended)
        done = _sum(answers)
        call.items += done.updated
        if failures:
            raise PartialWrite(
                f"{done.updated} points are changed, {len(failures)} of {len(ended)} shards could not "
                "be reached or have not ended; send the request again",
                matched=done.matched,
                updated=done.updated,
                failed_shards=failed_shards(failures),
            )
        return done


def check_conflict(answer: Conditional, point: OnePoint) -> None:
    """Raises PointNotFound or VersionConflict when the point has not the version asked for."""
    conflicts = conflicts_of(answer)
    if any(one["found"] == 0 for one in conflicts):
        raise point_not_found(point.collection, point.id)
    if conflicts:
        raise version_conflict(conflicts, "nothing is written")


def _order(request: MetadataRequest) -> pb.ChangeMetadataRequest:
    """All but the shard and the points. Raises InvalidArgument."""
    if request.replace is not None:
        if request.merge is not None or request.delete is not None:
            raise InvalidArgument("replace: goes without merge and delete, it sets the whole object")
        raw = encode_metadata(request.replace, "replace")
        return pb.ChangeMetadataRequest(mode=pb.METADATA_MODE_REPLACE, metadata=raw)
    expires = "expires_at" in request.model_fields_set
    if request.merge is None and request.delete is None and not expires:
        raise InvalidArgument("expected merge, delete, replace or expires_at")
    for field in request.delete or ():
        check_own(field, "delete")
    return pb.ChangeMetadataRequest(
        mode=pb.METADATA_MODE_MERGE,
        metadata=encode_metadata({} if request.merge is None else request.merge, "merge"),
        delete_fields=request.delete or [],
    )


def _addressed(
    order: pb.ChangeMetadataRequest, ref: pb.ShardRef, ids: list[bytes]
) -> pb.ChangeMetadataRequest:
    copy = pb.ChangeMetadataRequest(ref=ref, ids=ids)
    copy.MergeFrom(order)
    return copy


def _sum(answers: Mapping[int, pb.ChangeMetadataResponse]) -> MetadataChanged:
    return MetadataChanged(
        sum(answer.matched for answer in answers.values()),
        sum(answer.updated for answer in answers.values()),
    )
