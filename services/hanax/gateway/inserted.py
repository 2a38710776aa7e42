"""What an insert came to, from what each shard answered to its part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, PartialWrite
from hanax.core.ids import PointId, decode_id
from hanax.core.versions import version_conflict
from hanax.gateway.outcomes import all_conflicts, points_of


@dataclass(frozen=True, slots=True)
class ToldOfTexts:
    """Positions in the batch of points whose text was read in part, and in parts."""

    truncated: list[int] = field(default_factory=list)
    split: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Inserted:
    """What a batch came to. What is told of points is told by their positions in it.

    skipped: those that the mode left alone. versions: of each point, None where nothing was written.
    """

    inserted: int
    updated: int
    encoded_ids: list[bytes]
    texts: ToldOfTexts
    skipped_rows: list[int]
    versions: list[int | None]

    @property
    def ids(self) -> list[PointId]:
        """In the order of the batch."""
        return [decode_id(encoded) for encoded in self.encoded_ids]

    @property
    def truncated(self) -> list[PointId]:
        return self._at(self.texts.truncated)

    @property
    def split(self) -> list[PointId]:
        return self._at(self.texts.split)

    @property
    def skipped(self) -> list[PointId]:
        return self._at(self.skipped_rows)

    def _at(self, rows: Sequence[int]) -> list[PointId]:
        return [decode_id(self.encoded_ids[row]) for row in rows]


def inserted(
    ended: Mapping[int, pb.UpsertResponse | HanaxError],
    rows: Mapping[int, Sequence[int]],
    encoded_ids: list[bytes],
    told_of_texts: ToldOfTexts,
) -> Inserted:
    """What a batch came to. Raises VersionConflict, PartialWrite, or why nothing was stored."""
    failures = {shard: end for shard, end in ended.items() if isinstance(end, HanaxError)}
    conflicts = all_conflicts(failures)
    answers = {shard: end for shard, end in ended.items() if not isinstance(end, HanaxError)}
    if not answers and not conflicts:
        raise next(iter(failures.values()))
    versions: list[int | None] = [None] * len(encoded_ids)
    for shard, answer in answers.items():
        if len(rows[shard]) == len(encoded_ids):
            versions = [answer.sequence] * len(encoded_ids)
            continue
        for row in rows[shard]:
            versions[row] = answer.sequence
    skipped = {encoded for answer in answers.values() for encoded in answer.skipped}
    skipped_rows = [row for row, encoded in enumerate(encoded_ids) if encoded in skipped] if skipped else []
    for row in skipped_rows:
        versions[row] = None
    done = Inserted(
        inserted=sum(answer.inserted for answer in answers.values()),
        updated=sum(answer.updated for answer in answers.values()),
        encoded_ids=encoded_ids,
        texts=told_of_texts,
        skipped_rows=skipped_rows,
        versions=versions,
    )
    if not failures:
        return done
    ids = done.ids
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
