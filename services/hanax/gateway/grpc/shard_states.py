"""What shards tell of a collection: each of them, and in sum, as all doors tell it."""

from __future__ import annotations

from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.collection_states import ShardState
from hanax.gateway.index_reports import Answers, render_metadata, render_shard, render_totals


def write_index_totals(answers: Answers) -> pb.IndexTotals | None:
    totals = render_totals(answers)
    return None if totals is None else pb.IndexTotals(**totals)


def write_metadata_totals(answers: Answers) -> pb.MetadataIndexTotals | None:
    totals = render_metadata(answers)
    return None if totals is None else pb.MetadataIndexTotals(**totals)


def write_shard(shard: ShardState) -> pb.Shard:
    told = render_shard(shard)
    indexes = told.pop("indexes", ())
    return pb.Shard(**told, indexes=[pb.SegmentIndexState(**index) for index in indexes])
