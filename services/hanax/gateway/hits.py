"""What searches answer: hits by falling score, merged from the shards."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric, score_of
from hanax.gateway.merge import merge_nearest
from hanax.gateway.records import Record, RecordColumns


@dataclass(frozen=True, slots=True)
class Hit:
    score: float
    record: Record


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits by falling score, or in the order in which they were taken for being diverse.

    truncated: the model left out the tail of the text searched for. has_more: whether hits follow; None where
    no offset was given. total: points that match the filter; None where not asked. explanation: of each
    shard, how it searched its segments; None where not asked.
    """

    hits: list[Hit]
    truncated: bool = False
    has_more: bool | None = None
    total: int | None = None
    total_is_exact: bool = True
    explanation: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """How distances are told: as scores of a metric, of which the least that is wanted may be given."""

    metric: Metric
    threshold: float | None


def best_hits(
    parts: Sequence[pb.Hits], limit: int, scale: Scale, without: Collection[bytes] = ()
) -> list[Hit]:
    """The `limit` best of all parts that score enough, but for the encoded ids in `without`."""
    wanted = limit + len(without)
    nearest = merge_nearest([(part.distances, part.points.ids) for part in parts], wanted)
    columns = [RecordColumns(part.points) for part in parts]
    hits: list[Hit] = []
    for distance, place in nearest:
        score = score_of(scale.metric, distance)
        if len(hits) == limit or (scale.threshold is not None and score < scale.threshold):
            break
        if not without or parts[place.part].points.ids[place.row] not in without:
            hits.append(Hit(score, columns[place.part].record(place.row)))
    return hits
