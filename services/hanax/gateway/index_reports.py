"""What the shards of a collection tell of themselves and their indexes, one by one and in sum.

Sums are None while a shard does not answer: part of a sum would pass for the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError
from hanax.core.limits import MAX_FIELDS_TOLD
from hanax.gateway.collection_states import ShardState

Answers = Sequence[pb.DescribeResponse | HanaxError]


def render_shard(shard: ShardState) -> dict[str, Any]:
    shown: dict[str, Any] = {"shard": shard.shard, "node": shard.node}
    told = shard.answer
    if isinstance(told, HanaxError):
        return {**shown, "state": "unavailable", "reason": told.message}
    return {
        **shown,
        "state": "read_only" if told.read_only_reason else "ready",
        "reason": told.read_only_reason or None,
        "points": told.points,
        "deleted_rows": told.deleted_rows,
        "segments": told.segments,
        "growing_rows": told.growing_rows,
        "last_sequence": told.last_sequence,
        "covered_sequence": told.covered_sequence,
        "disk_bytes": told.disk_bytes,
        "log_bytes": told.log_bytes,
        "index_memory_bytes": told.index_memory_bytes,
        "live_recall": told.live_recall if told.HasField("live_recall") else None,
        "live_recall_samples": told.live_recall_samples,
        "indexes": [render_index(index) for index in told.indexes],
    }


def render_index(index: pb.SegmentIndex) -> dict[str, Any]:
    return {
        "segment": index.segment,
        "vector_name": index.column,
        "points": index.rows,
        "state": index.state,
        "type": index.type,
        "quantisation": index.quantisation,
        "effort": index.effort or None,
        "recall": index.recall if index.HasField("recall") else None,
        "memory_bytes": index.memory_bytes,
        "memory_bytes_per_vector": _per_vector([index]),
        "reason": index.reason or None,
    }


def render_totals(answers: Answers) -> dict[str, Any] | None:
    """The indexes of vectors."""
    told = _told(answers)
    if told is None:
        return None
    indexes = [index for shard in told for index in shard.indexes]
    states = Counter(index.state for index in indexes)
    return {
        "settled": not states["waiting"] and not states["building"],
        "segments": {state: states[state] for state in ("built", "waiting", "building", "refused")},
        "unsealed_points": sum(shard.growing_rows for shard in told),
        "memory_bytes": sum(index.memory_bytes for index in indexes),
        "memory_bytes_per_vector": _per_vector(indexes),
        "recall": _mean((index.recall, index.rows) for index in indexes if index.HasField("recall")),
        "live_recall": _mean((shard.live_recall, shard.live_recall_samples) for shard in told),
        "live_recall_samples": sum(shard.live_recall_samples for shard in told),
    }


def render_metadata(answers: Answers) -> dict[str, Any] | None:
    """The indexes of metadata. Shards have the same fields in common, so that those are not summed."""
    told = _told(answers)
    if told is None:
        return None
    parts = [shard.metadata for shard in told]
    left_out = sorted({field for part in parts for field in part.left_out})
    return {
        "fields": max((part.fields for part in parts), default=0),
        "fields_left_out": left_out[:MAX_FIELDS_TOLD],
        "field_limit_reached": any(part.field_limit_reached for part in parts),
        "rows_without_index": sum(part.unindexed_rows for part in parts),
        "bytes": sum(part.bytes for part in parts),
    }


def _told(answers: Answers) -> list[pb.DescribeResponse] | None:
    """What all shards tell, or None."""
    told: list[pb.DescribeResponse] = []
    for answer in answers:
        if isinstance(answer, HanaxError):
            return None
        told.append(answer)
    return told


def _per_vector(indexes: Sequence[pb.SegmentIndex]) -> float | None:
    rows = sum(index.rows for index in indexes)
    return sum(index.memory_bytes for index in indexes) / rows if rows else None


def _mean(weighted: Iterable[tuple[float, int]]) -> float | None:
    parts = list(weighted)
    weight = sum(part for _, part in parts)
    return sum(value * part for value, part in parts) / weight if weight else None
