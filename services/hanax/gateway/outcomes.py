"""How a write to several shards ended: what was written, what was refused, and what could not be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, VersionConflict
from hanax.core.ids import PointId, decode_id
from hanax.core.versions import version_conflict


class Conditional(Protocol):
    """An answer to a write that may have been refused for the versions of points."""

    @property
    def conflicts(self) -> Sequence[pb.Conflict]: ...


Answer = TypeVar("Answer")
ConditionalAnswer = TypeVar("ConditionalAnswer", bound=Conditional)


def split(ended: Mapping[int, Answer | HanaxError]) -> tuple[dict[int, Answer], dict[int, HanaxError]]:
    """The answers and the failures by shard. Raises the first failure when nothing succeeded."""
    failures = {shard: end for shard, end in ended.items() if isinstance(end, HanaxError)}
    if len(failures) == len(ended):
        raise next(iter(failures.values()))
    return {shard: end for shard, end in ended.items() if not isinstance(end, HanaxError)}, failures


def conflicts_of(answer: Conditional) -> list[dict[str, Any]]:
    """{id, expected, found} of each point that has another version; found 0: it is not there."""
    return [
        {"id": decode_id(one.id), "expected": one.expected, "found": one.found} for one in answer.conflicts
    ]


def refused(ended: Mapping[int, ConditionalAnswer | HanaxError]) -> dict[int, ConditionalAnswer | HanaxError]:
    """The same, where shards that found other versions have failed with VersionConflict."""
    return {
        shard: end
        if isinstance(end, HanaxError) or not end.conflicts
        else version_conflict(conflicts_of(end), "nothing is written")
        for shard, end in ended.items()
    }


def all_conflicts(failures: Mapping[int, HanaxError]) -> list[dict[str, Any]]:
    return [
        one
        for failure in failures.values()
        if isinstance(failure, VersionConflict)
        for one in failure.details["conflicts"]
    ]


def points_of(
    failures: Mapping[int, HanaxError], rows: Mapping[int, Sequence[int]], ids: Sequence[PointId]
) -> list[dict[str, Any]]:
    """The points of the shards that failed, by `rows` of `ids`, with the reason of each."""
    return [
        {"id": ids[row], "shard": shard, "code": error.code}
        for shard, error in failures.items()
        for row in rows[shard]
    ]


def failed_shards(failures: Mapping[int, HanaxError]) -> list[dict[str, Any]]:
    return [{"shard": shard, "code": error.code} for shard, error in failures.items()]
