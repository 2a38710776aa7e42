"""Writes that depend on what is there.

They are decided by the one writer, on the state that all writes before them left, so that two of them can't
both win. What is logged is the outcome: replaying it looks at no condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hanax.core.ids import decode_id
from hanax.core.versions import version_conflict
from hanax.engine.segment.view import Places, View, hash_ids
from hanax.engine.storage.records import Record

# The version that a point must have, by its encoded id. 0: it must not be there.
IfVersions = Mapping[bytes, int]

ANY_VERSION: Final[IfVersions] = {}


class WriteMode(StrEnum):
    """Which points of a batch are written."""

    UPSERT = "upsert"
    # Those that are not there yet.
    INSERT = "insert"
    # Those that are there.
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Points that the mode leaves alone are told; one of another version refuses the whole batch."""

    mode: WriteMode = WriteMode.UPSERT
    if_versions: IfVersions = field(default_factory=dict)


UNCONDITIONAL: Final = Conditions()


def versions_at(view: View, places: Places) -> NDArray[np.uint64]:
    """The version of each point: the sequence of the write that made its row; 0 where there is none."""
    versions = np.zeros(len(places.rows), np.uint64)
    for number, here in places.by_segment():
        versions[here] = view.segments[number].segment.versions(places.rows[here])
    return versions


def locate_unchanged(view: View, ids: Sequence[bytes], if_versions: IfVersions) -> Places:
    """Where the points are. Raises VersionConflict, which names each that has another version."""
    places = view.locate(ids, hash_ids(ids))
    if if_versions:
        conflicts = [
            {"id": decode_id(id_), "expected": if_versions[id_], "found": version}
            for id_, version in zip(ids, versions_at(view, places).tolist(), strict=True)
            if if_versions.get(id_, version) != version
        ]
        if conflicts:
            raise version_conflict(conflicts, "nothing is written")
    return places


def narrow_upsert(view: View, record: Record, conditions: Conditions) -> tuple[Record | None, list[bytes]]:
    """What of an upsert is written, None for nothing, and the ids that the mode leaves alone.

    Raises VersionConflict.
    """
    places = locate_unchanged(view, record.ids, conditions.if_versions)
    if conditions.mode is WriteMode.UPSERT:
        return record, []
    wanted = places.found if conditions.mode is WriteMode.UPDATE else ~places.found
    skipped = [record.ids[row] for row in np.flatnonzero(~wanted).tolist()]
    if not skipped:
        return record, []
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return None, skipped
    kept = Record(
        record.kind,
        record.time_us,
        [record.ids[row] for row in rows.tolist()],
        [record.metadata[row] for row in rows.tolist()],
        {name: column[rows] for name, column in record.vectors.items()},
        None if record.expires_at_us is None else record.expires_at_us[rows],
    )
    return kept, skipped
