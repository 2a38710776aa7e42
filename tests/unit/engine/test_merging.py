"""Which segments are merged, as a table, and what that does to a picture of the shard."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from hanax.core.distances import Metric
from hanax.engine.schema import Schema
from hanax.engine.segment.builder import build_segment
from hanax.engine.segment.growing import GrowingSegment, NewRows
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View, hash_ids
from hanax.engine.shard.merging import Source, choose_all, choose_merge, merged_view, parts_of

SCHEMA = Schema.single(1, Metric.DOT)
M = 1_000_000


def anything(rows: int) -> bool:
    return True


class OnlyRows(GrowingSegment):
    """The policy looks at counts alone."""

    def __init__(self) -> None:
        super().__init__(SCHEMA)


def view_of(*segments: tuple[int, int]) -> View:
    """(rows, of which dead) of each segment."""
    return View(9, tuple(SegmentView(OnlyRows(), rows, BitMap(range(dead))) for rows, dead in segments))


@pytest.mark.parametrize(
    ("segments", "chosen"),
    [
        # Nothing to gain.
        ([], []),
        ([(10, 0)], []),
        ([(10, 0)] * 3, []),
        ([(100, 24)], []),
        ([(10, 0), (100, 0), (1_000, 0), (10_000, 0)], []),
        # Four of like size, in their order; larger ones stay.
        ([(10, 0)] * 4, [0, 1, 2, 3]),
        ([(10, 0)] * 5, [0, 1, 2, 3, 4]),
        ([(10, 0), (40, 0), (10, 0), (25, 0)], [0, 1, 2, 3]),
        ([(10, 0), (41, 0), (10, 0), (25, 0)], []),
        ([(500, 0), (10, 0), (11, 0), (600, 0), (12, 0), (13, 0)], [1, 2, 4, 5]),
        # The group begins wherever four are alike.
        ([(1, 0), (100, 0), (120, 0), (140, 0), (160, 0)], [1, 2, 3, 4]),
        # It is live rows that count.
        ([(40, 30), (10, 0), (10, 0), (10, 0)], [0, 1, 2, 3]),
        # A hollow segment is rewritten, one at a time.
        ([(100, 25)], [0]),
        ([(100, 25), (1_000, 0), (30_000, 30_000)], [0]),
        ([(10_000, 0), (100, 99)], [1]),
        ([(1, 1)], [0]),
        ([(3 * M, M), (3 * M, M), (3 * M, M)], [0]),
        # Bounds: what is large stays, and a merger stays below four million rows.
        ([(2 * M + 1, 0)] * 4, []),
        ([(2 * M, 0)] * 4, []),
        ([(M, 0)] * 4, [0, 1, 2, 3]),
        ([(M, 0)] * 5, [0, 1, 2, 3]),
        ([(2 * M, 0), (600_000, 0), (600_000, 0), (600_000, 0)], [0, 1, 2, 3]),
        ([(2 * M, 0), (700_000, 0), (700_000, 0), (700_000, 0)], []),
        # An empty segment, as an older version may have left it.
        ([(0, 0)], []),
    ],
)
def test_policy(segments: list[tuple[int, int]], chosen: list[int]) -> None:
    view = view_of(*segments)
    sources = choose_merge(view, anything, quiet=False)
    assert [source.segment for source in sources] == [view.segments[number].segment for number in chosen]
    for number, source in zip(chosen, sources, strict=True):
        rows, dead = segments[number]
        np.testing.assert_array_equal(source.kept, np.arange(dead, rows))


@pytest.mark.parametrize(
    ("segments", "chosen"),
    [
        ([], []),
        ([(10, 0)], []),
        # Two are enough, when the larger is at most twice the smaller ones together.
        ([(10, 0), (10, 0)], [0, 1]),
        ([(10, 0), (20, 0)], [0, 1]),
        ([(10, 0), (21, 0)], []),
        ([(43, 0), (43, 0), (13, 0)], [0, 1]),
        ([(10, 0), (20, 0), (60, 0), (181, 0)], [0, 1, 2]),
        ([(1, 0), (100, 0), (120, 0)], [1, 2]),
        # What is merged anyway comes first, and hollow ones before that.
        ([(10, 0)] * 4, [0, 1, 2, 3]),
        ([(10, 0), (10, 0), (100, 25)], [2]),
        ([(2 * M + 1, 0)] * 2, []),
    ],
)
def test_policy_when_nothing_is_added(segments: list[tuple[int, int]], chosen: list[int]) -> None:
    view = view_of(*segments)
    sources = choose_merge(view, anything, quiet=True)
    assert [source.segment for source in sources] == [view.segments[number].segment for number in chosen]


def test_no_merged_segment_is_larger_than_what_can_be_indexed() -> None:
    def fits(rows: int) -> bool:
        return rows <= 100

    for sizes, quiet, chosen in (
        ([30, 30, 30, 30], False, []),
        ([20, 20, 20, 20, 30, 30], False, [0, 1, 2, 3]),
        ([40, 40, 60], True, [0, 1]),
        ([60, 60], True, []),
    ):
        view = view_of(*((size, 0) for size in sizes))
        sources = choose_merge(view, fits, quiet)
        assert [source.segment for source in sources] == [view.segments[number].segment for number in chosen]
    view = view_of((60, 0), (60, 20), (60, 0), (30, 0), (200, 1), (90, 0))
    groups = [
        [view.segments.index(part) for part in view.segments if part.segment in group]
        for group in ([source.segment for source in sources] for sources in choose_all(view, fits))
    ]
    assert groups == [[0, 1], [2, 3], [4]]
    assert choose_all(view_of((60, 0), (60, 0)), fits) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_row_is_copied_a_logarithmic_number_of_times(seed: int) -> None:
    """Bursts of segments, each with a pause after it that merges all that it may."""
    random = np.random.default_rng(seed)
    view, copied, live = view_of(), 0, 0
    for _ in range(60):
        for size in random.integers(50, 100, random.integers(1, 6)).tolist():
            live += size
            view = View(9, (*view.segments, SegmentView(OnlyRows(), size)))
        while sources := choose_merge(view, anything, quiet=True):
            kept = sum(len(source.kept) for source in sources)
            copied += kept
            chosen = {id(source.segment) for source in sources}
            left = [part for part in view.segments if id(part.segment) not in chosen]
            view = View(9, (SegmentView(OnlyRows(), kept), *left))
        assert len(view.segments) <= np.log(live / 50) / np.log(2) + 1
    assert view.live_count == live
    assert copied <= live * (np.log(live / 50) / np.log(1.5) + 1)


@pytest.mark.parametrize("sizes", [[16] * 64, [1_000] * 37, [3, 900, 14, 80] * 10, list(range(1, 200))])
def test_merging_comes_to_an_end_with_few_segments(sizes: list[int]) -> None:
    view = view_of(*((size, size // 5) for size in sizes))
    copied = 0
    while sources := choose_merge(view, anything, quiet=False):
        merged = OnlyRows()
        kept = sum(len(source.kept) for source in sources)
        copied += kept
        chosen = {id(source.segment) for source in sources}
        left = tuple(part for part in view.segments if id(part.segment) not in chosen)
        view = View(9, (SegmentView(merged, kept), *left))
    live = sum(size - size // 5 for size in sizes)
    assert view.live_count == live
    # Three of each tier at most; each row is copied once per tier.
    tiers = np.log(live) / np.log(4) + 1
    assert len(view.segments) <= 3 * tiers
    assert copied <= live * tiers


def growing_of(ids: list[bytes]) -> GrowingSegment:
    segment = GrowingSegment(SCHEMA)
    numbers: NDArray[np.float32] = np.arange(len(ids), dtype=np.float32)[:, None]
    created: NDArray[np.int64] = np.arange(len(ids), dtype=np.int64)
    segment.append(
        NewRows(
            ids, hash_ids(ids), [b"{}"] * len(ids), {"default": numbers}, created, updated_at_us=1, version=1
        )
    )
    return segment


def live_ids(view: View) -> list[bytes]:
    return [id_ for part in view.segments for id_ in part.segment.ids(np.flatnonzero(part.live_flags))]


def test_pictures_keep_their_live_points(folder: Path) -> None:
    """Of a picture that is older than the merge, one that is newer, and one without the sources."""
    ids = [[b"\x03%d-%d" % (number, row) for row in range(100)] for number in range(4)]
    segments = [growing_of(names) for names in ids]
    dead = [BitMap(range(0, 30)), BitMap(), BitMap([99]), BitMap(range(50, 60))]
    persisted = View(
        5, tuple(SegmentView(segment, 100, gone) for segment, gone in zip(segments, dead, strict=True))
    )
    # The second stays as it is.
    sources = [
        Source(persisted.segments[number].segment, np.flatnonzero(persisted.segments[number].live_flags))
        for number in (0, 2, 3)
    ]
    build_segment(folder / "m", SCHEMA, parts_of(sources), threading.Event())
    merged = SealedSegment(folder / "m", SCHEMA)
    later = View(
        8,
        tuple(
            SegmentView(part.segment, 100, part.dead | BitMap(range(number, 100, 7)))
            for number, part in enumerate(persisted.segments)
        ),
    )
    for view in (persisted, later):
        after = merged_view(view, sources, merged)
        assert after.sequence == view.sequence
        assert [part.segment for part in after.segments] == [merged, segments[1]]
        assert sorted(live_ids(after)) == sorted(live_ids(view))
        assert after.live_count == view.live_count
        every = [id_ for names in ids for id_ in names]
        np.testing.assert_array_equal(
            view.locate(every, hash_ids(every)).found, after.locate(every, hash_ids(every)).found
        )
    assert not merged_view(persisted, sources, merged).segments[0].dead
    without = View(8, (SegmentView(segments[1], 100),))
    assert merged_view(without, sources, merged) is without


def test_sources_without_a_live_row_vanish() -> None:
    segments = [growing_of([b"\x03a"]), growing_of([b"\x03b"])]
    view = View(3, (SegmentView(segments[0], 1, BitMap([0])), SegmentView(segments[1], 1)))
    after = merged_view(view, [Source(segments[0], np.empty(0, np.int64))], None)
    assert [part.segment for part in after.segments] == [segments[1]]
