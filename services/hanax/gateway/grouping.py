"""Merging the groups that shards found.

Among the best `limit` groups of everything, each is among the best `limit` of the shard that holds its best
point. Another shard may hold more of its points and not have told, if it told of `limit` better groups: it
is asked for them by value. A shard that told of fewer groups has told of all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from citadel.vector.v1 import shard_pb2 as pb
from hanax.gateway.hits import Hit, Scale, best_hits


@dataclass(frozen=True, slots=True)
class Group:
    """value: the JSON of a scalar. hits: by falling score, at least one."""

    value: bytes
    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class GroupedResult:
    """Groups by the falling score of their best hit. truncated: the model read the text in part."""

    groups: list[Group]
    truncated: bool


def best_groups(
    answers: Sequence[pb.SearchGroupsResponse],
    limit: int,
    size: int,
    scale: Scale,
    among: Collection[bytes] | None = None,
) -> list[Group]:
    """The `limit` groups with the best hits, `size` hits of each. among: of these values alone."""
    parts: dict[bytes, list[pb.Hits]] = {}
    for answer in answers:
        for group in answer.groups:
            if among is None or group.value_json in among:
                parts.setdefault(group.value_json, []).append(group.hits)
    # A shard tells of no group without points.
    ranked = sorted(parts, key=lambda value: (min(map(_first, parts[value])), value))
    groups = (Group(value, best_hits(parts[value], size, scale)) for value in ranked[:limit])
    # The bound of the shards is a little wide: none of a group's points may score enough.
    return [group for group in groups if group.hits]


def values_to_ask(
    answers: Mapping[int, pb.SearchGroupsResponse], chosen: Sequence[Group], limit: int
) -> dict[int, list[bytes]]:
    """By shard, the chosen values that it may have points of and did not tell of."""
    missing: dict[int, list[bytes]] = {}
    for shard, answer in answers.items():
        told = {group.value_json for group in answer.groups}
        if len(told) >= limit:
            unknown = [group.value for group in chosen if group.value not in told]
            if unknown:
                missing[shard] = unknown
    return missing


def _first(hits: pb.Hits) -> tuple[float, bytes]:
    return hits.distances[0], hits.points.ids[0]
