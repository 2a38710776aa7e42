"""From places in a view to points: get, scroll, count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hanax.core.filters import Filter
from hanax.core.ids import hash_of
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.points import Points, Projection
from hanax.engine.query.matching import Matching
from hanax.engine.segment.masks import Flags, flags_of
from hanax.engine.segment.protocol import Rows, Segment
from hanax.engine.segment.view import Places, SegmentView, View, hash_ids


def read_points(view: View, places: Places, projection: Projection, dimension: int) -> Points:
    """The points at `places`, all of which are found, in that order."""
    count = len(places.rows)
    if count and (places.segments == places.segments[0]).all():
        return read_rows(view.segments[int(places.segments[0])].segment, places.rows, projection)
    # Arrays of objects: they are filled and read as a whole.
    ids = np.empty(count, object)
    metadata = np.empty(count, object) if projection.metadata else None
    vectors = np.empty((count, dimension), np.float32) if projection.vectors else None
    created = np.empty(count, np.int64)
    updated = np.empty(count, np.int64)
    versions = np.empty(count, np.uint64) if projection.versions else None
    expires: NDArray[np.int64] | None = None
    for number, here in places.by_segment():
        found = read_rows(view.segments[number].segment, places.rows[here], projection)
        ids[here] = found.ids
        created[here] = found.created_at_us
        updated[here] = found.updated_at_us
        if vectors is not None:
            vectors[here] = found.vectors
        if metadata is not None:
            metadata[here] = found.metadata
        if versions is not None and found.versions is not None:
            versions[here] = found.versions
        if found.expires_at_us is not None:
            expires = np.zeros(count, np.int64) if expires is None else expires
            expires[here] = found.expires_at_us
    blobs = None if metadata is None else metadata.tolist()
    return Points(ids.tolist(), blobs, vectors, created, updated, versions, expires)


def read_rows(segment: Segment, rows: Rows, projection: Projection) -> Points:
    """The points of one segment's rows, in that order."""
    return Points(
        segment.ids(rows),
        segment.metadata(rows) if projection.metadata else None,
        segment.vectors(DEFAULT_VECTOR, rows) if projection.vectors else None,
        segment.created_at_us(rows),
        segment.updated_at_us(rows),
        segment.versions(rows) if projection.versions else None,
        segment.expires_at_us(rows),
    )


def get(view: View, ids: Sequence[bytes], projection: Projection, dimension: int) -> Points:
    """The points that exist, in the order asked."""
    places = view.locate(ids, hash_ids(ids))
    found = places.found
    return read_points(view, Places(places.segments[found], places.rows[found]), projection, dimension)


def allowed_flags(part: SegmentView, expression: Filter | None) -> Flags:
    """bool[rows]: live, and matching the filter."""
    if expression is None or part.live_count == 0:
        return part.live_flags
    return flags_of(Matching(part, expression).mask().words, part.rows)


def count(view: View, expression: Filter | None) -> int:
    if expression is None:
        return view.live_count
    return sum(Matching(part, expression).mask().count for part in view.segments if part.live_count)


def matching_ids(view: View, expression: Filter) -> list[bytes]:
    """Ids of all live points that match."""
    found: list[bytes] = []
    for part in view.segments:
        found.extend(part.segment.ids(np.flatnonzero(allowed_flags(part, expression))))
    return found


def scroll(
    view: View,
    after: bytes | None,
    limit: int,
    expression: Filter | None,
) -> tuple[Places, bool]:
    """The next `limit` matching points by (xxh3_64(id), id), and whether more follow.

    The order depends on ids alone, so writes between two pages neither repeat nor hide a
    point that was there all the time.
    """
    start = hash_of(after) if after is not None else 0
    found: list[tuple[int, bytes, int, int]] = []
    for number, part in enumerate(view.segments):
        allowed = allowed_flags(part, expression)
        found.extend(_page_of(number, part, start, after, limit + 1, allowed))
    found.sort()
    page = found[:limit]
    places = Places(
        np.array([entry[2] for entry in page], np.int64),
        np.array([entry[3] for entry in page], np.int64),
    )
    return places, len(found) > limit


def _page_of(
    number: int,
    part: SegmentView,
    start: int,
    after: bytes | None,
    wanted: int,
    allowed: Flags,
) -> list[tuple[int, bytes, int, int]]:
    """(hash, id, segment, row) of at least the first `wanted` allowed points, if the segment has as many."""
    hashes, rows = part.segment.in_hash_order(part.rows)
    at = int(np.searchsorted(hashes, np.uint64(start)))
    found: list[tuple[int, bytes, int, int]] = []
    step = wanted
    while at < len(rows) and len(found) < wanted:
        # Equal hashes stay together, so that their ids decide among them.
        end = int(np.searchsorted(hashes, hashes[min(at + step, len(rows)) - 1], side="right"))
        run_rows, run_hashes = rows[at:end].astype(np.int64), hashes[at:end]
        keep = allowed[run_rows]
        kept = run_rows[keep]
        for hash_, id_, row in zip(
            run_hashes[keep].tolist(), part.segment.ids(kept), kept.tolist(), strict=True
        ):
            if after is None or (hash_, id_) > (start, after):
                found.append((hash_, id_, number, row))
        at = end
        step = min(step * 2, 65_536)
    return found
