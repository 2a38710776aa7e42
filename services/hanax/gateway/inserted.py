"""What an insert came to, from what each shard answered to its part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, PartialWrite
from hanax.core.ids import PointId, decode_id
from hanax.core.versions import version_conflict
from hanax.gateway.outcomes import all_conflicts, points_of

# Ids of points, by what the model did to their texts: truncated, split.
ToldOfTexts = dict[str, list[PointId]]


@dataclass(frozen=True, slots=True)
class Inserted:
    """`ids` in the order of the batch. truncated, split: those whose text was read in part, and in parts.

    skipped: those that the mode left alone. versions: of each of `ids`, None where nothing was written.
    """

    inserted: int
    updated: int
    ids: list[PointId]
    truncated: list[PointId]
    split: list[PointId]
    skipped: list[PointId]
    versions: list[int | None]


def inserted(
    ended: Mapping[int, pb.UpsertResponse | HanaxError],
    rows: Mapping[int, list[int]],
    encoded_ids: list[bytes],
    told_of_texts: ToldOfTexts,
) -> Inserted:
    """What a batch came to. Raises VersionConflict, PartialWrite, or why nothing was stored."""
    failures = {shard: end for shard, end in ended.items() if isinstance(end, HanaxError)}
    conflicts = all_conflicts(failures)
    answers = {shard: end for shard, end in ended.items() if not isinstance(end, HanaxError)}
    if not answers and not conflicts:
        raise next(iter(failures.values()))
    ids = [decode_id(encoded) for encoded in encoded_ids]
    skipped = {encoded for answer in answers.values() for encoded in answer.skipped}
    versions: list[int | None] = [None] * len(ids)
    for shard, answer in answers.items():
        for row in rows[shard]:
            if encoded_ids[row] not in skipped:
                versions[row] = answer.sequence
    done = Inserted(
        inserted=sum(answer.inserted for answer in answers.values()),
        updated=sum(answer.updated for answer in answers.values()),
        ids=ids,
        truncated=told_of_texts["truncated"],
        split=told_of_texts["split"],
        skipped=[id_ for id_, encoded in zip(ids, encoded_ids, strict=True) if encoded in skipped],
        versions=versions,
    )
    if not failures:
        return done
    failed = points_of(failures, rows, ids)
    stored = done.inserted + done.updated
    told: dict[str, Any] = {
        "stored": stored,
        "inserted": done.inserted,
        "updated": done.updated,
        "failed": failed,
        "ids": ids,
        "versions": versions,
    }
    if conflicts:
        raise version_conflict(conflicts, f"{stored} of {len(ids)} points are stored", **told)
    raise PartialWrite(
        f"{stored} of {len(ids)} points are stored; send the failed "
        "ones again, or the whole batch with these ids",
        **told,
    )
