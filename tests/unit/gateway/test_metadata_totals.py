"""How the indexes of metadata are told of a collection with several shards."""

from __future__ import annotations

from typing import Any

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import Unavailable
from hanax.core.limits import MAX_FIELDS_TOLD
from hanax.gateway.index_reports import render_metadata


def shard(**told: Any) -> pb.DescribeResponse:
    return pb.DescribeResponse(metadata=pb.MetadataIndexes(**told))


def test_rows_and_bytes_are_summed_and_fields_are_not() -> None:
    """Shards hold the same fields."""
    parts = [
        shard(fields=3, left_out=["b", "a"], unindexed_rows=10, bytes=100),
        shard(fields=4, left_out=["c", "b"], unindexed_rows=1, bytes=20, field_limit_reached=True),
    ]
    assert render_metadata(parts) == {
        "fields": 4,
        "fields_left_out": ["a", "b", "c"],
        "field_limit_reached": True,
        "rows_without_index": 11,
        "bytes": 120,
    }


def test_a_part_of_the_sum_is_not_told() -> None:
    assert render_metadata([shard(fields=3), Unavailable("away")]) is None


def test_a_collection_without_shards_yet_has_none() -> None:
    told = render_metadata([])
    assert told is not None
    assert (told["fields"], told["fields_left_out"], told["field_limit_reached"]) == (0, [], False)


def test_the_names_told_are_bounded() -> None:
    names = [f"f{number:04}" for number in range(MAX_FIELDS_TOLD + 50)]
    told = render_metadata([shard(left_out=names[:MAX_FIELDS_TOLD]), shard(left_out=names[50:])])
    assert told is not None
    assert told["fields_left_out"] == names[:MAX_FIELDS_TOLD]
