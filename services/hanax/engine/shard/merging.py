"""Which sealed segments to merge, and what merging does to pictures of the shard.

Segments of like size are merged when there are enough of them (size-tiered compaction), so each row is
copied a logarithmic number of times; a hollow segment is rewritten by itself. When nothing was added for
a while, two are enough, so that a search looks into few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from pyroaring import BitMap

from hanax.engine.segment.builder import Part
from hanax.engine.segment.masks import rows_of
from hanax.engine.segment.protocol import Rows, Segment
from hanax.engine.segment.view import SegmentView, View

# Segments within this factor of each other's size are alike.
_TIER_FACTOR = 4
# So many alike segments are merged: fewer would copy rows too often, more would slow searches down.
_TIER_SEGMENTS = 4
# Of segments that are merged when all is quiet, none is larger than the smaller ones together by this factor.
_QUIET_FACTOR = 2
# A segment with this part of its rows dead is rewritten.
_HOLLOW = 0.25
# Larger segments are left alone: merging them takes long and gains little.
_MAX_MERGED_ROWS = 4_000_000


class Source(NamedTuple):
    """A segment to be merged and the rows that it keeps, ascending."""

    segment: Segment
    kept: Rows


def choose_merge(persisted: View, fits: Callable[[int], bool], quiet: bool) -> list[Source]:
    """Segments to merge now, in their order; empty when all is well.

    fits: whether a segment of so many rows can be made. quiet: no segment is expected soon.
    Only rows that are dead in the manifest's picture are dropped: those that died later must be
    found by a replay of the log, which starts there.
    """
    views = persisted.segments
    sizes = [part.live_count for part in views]
    hollow = [number for number, part in enumerate(views) if is_hollow(part)]
    # One at a time: many hollow segments together could make one without bounds.
    chosen = _alike(sizes, fits) or hollow[:1] or (_doubling(sizes, fits) if quiet else [])
    return [Source(views[number].segment, _kept(views[number])) for number in sorted(chosen)]


def is_hollow(part: SegmentView) -> bool:
    """So many of its rows are dead that it is rewritten."""
    return part.rows > 0 and len(part.dead) >= _HOLLOW * part.rows


def choose_all(persisted: View, fits: Callable[[int], bool]) -> list[list[Source]]:
    """All segments, in as few groups as fit, each to be made one segment; none that is well as it is."""
    groups: list[list[SegmentView]] = []
    for part in persisted.segments:
        if groups and fits(part.live_count + sum(other.live_count for other in groups[-1])):
            groups[-1].append(part)
        else:
            groups.append([part])
    return [
        [Source(part.segment, _kept(part)) for part in group]
        for group in groups
        if len(group) > 1 or group[0].dead
    ]


def parts_of(sources: Sequence[Source]) -> list[Part]:
    return [Part(source.segment, source.kept) for source in sources]


def merged_view(view: View, sources: Sequence[Source], merged: Segment | None) -> View:
    """The same live points, with `merged` (None: no row was kept) in place of the sources."""
    if not any(part.segment is source.segment for part in view.segments for source in sources):
        return view
    base_by_segment: dict[int, tuple[int, Rows]] = {}
    base = 0
    for source in sources:
        base_by_segment[id(source.segment)] = (base, source.kept)
        base += len(source.kept)
    dead = BitMap()
    others = []
    for part in view.segments:
        if id(part.segment) not in base_by_segment:
            others.append(part)
            continue
        start, kept = base_by_segment[id(part.segment)]
        dead |= BitMap((_places_of(rows_of(part.dead), kept) + start).astype(np.uint32))
    first = [SegmentView(merged, base, dead)] if merged is not None else []
    return View(view.sequence, (*first, *others))


def _places_of(rows: Rows, kept: Rows) -> Rows:
    """Where in `kept` those of `rows` are that occur there. Both ascend; `rows` are few, and writers wait."""
    places = np.searchsorted(kept, rows)
    inside = places < len(kept)
    places, rows = places[inside], rows[inside]
    found: Rows = places[kept[places] == rows]
    return found


def _kept(part: SegmentView) -> Rows:
    return np.flatnonzero(part.live_flags)


def _alike(sizes: Sequence[int], fits: Callable[[int], bool]) -> list[int]:
    """Numbers of a group of segments of like size whose merger stays within bounds, smallest first."""
    order = _ascending(sizes)
    for start in range(len(order) - _TIER_SEGMENTS + 1):
        limit = max(1, sizes[order[start]]) * _TIER_FACTOR
        group = _fitting([number for number in order[start:] if sizes[number] <= limit], sizes, fits)
        if len(group) >= _TIER_SEGMENTS:
            return group
    return []


def _doubling(sizes: Sequence[int], fits: Callable[[int], bool]) -> list[int]:
    """Numbers of a run of segments, smallest first, each no larger than twice those before together.

    A row that is copied lands in a segment half as large again or more. What is left differs by more
    than that factor, so segments are few.
    """
    order = _ascending(sizes)
    for start in range(len(order) - 1):
        group = [order[start]]
        total = sizes[order[start]]
        for number in order[start + 1 :]:
            if sizes[number] > _QUIET_FACTOR * total:
                break
            group.append(number)
            total += sizes[number]
        if len(group := _fitting(group, sizes, fits)) > 1:
            return group
    return []


def _ascending(sizes: Sequence[int]) -> list[int]:
    return sorted(
        (number for number, size in enumerate(sizes) if size <= _MAX_MERGED_ROWS // 2),
        key=lambda number: sizes[number],
    )


def _fitting(group: list[int], sizes: Sequence[int], fits: Callable[[int], bool]) -> list[int]:
    """The first of the group, as many as can be one segment."""
    while group:
        total = sum(sizes[number] for number in group)
        if total <= _MAX_MERGED_ROWS and fits(total):
            break
        group = group[:-1]
    return group
