"""An immutable picture of a shard: what readers work on without a lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray
from pyroaring import BitMap

from hanax.engine.index.protocol import Mask
from hanax.engine.segment.masks import Flags, flags_of_live, words_of, words_without
from hanax.engine.segment.protocol import NEVER_US, Hashes, Rows, Segment

_NOBODY = BitMap()
# Up to this part of a segment, rows that expired are taken out of the mask that there was: it is far cheaper.
_FEW_EXPIRED = 1 / 64

Picture = TypeVar("Picture")


class AtMoment(NamedTuple, Generic[Picture]):
    """What is left of a picture from `since_us` until just before `until_us`.

    None: all of it. A picture that held itself would keep its files until a garbage collection.
    """

    left: Picture | None
    since_us: int
    until_us: int


@dataclass(frozen=True)
class SegmentView:
    """The first `rows` rows of a segment, less the dead ones. `dead` is never changed in place."""

    segment: Segment
    rows: int
    dead: BitMap = _NOBODY

    @property
    def live_count(self) -> int:
        return self.rows - len(self.dead)

    @cached_property
    def live_flags(self) -> Flags:
        """bool[rows]."""
        return flags_of_live(self.dead, self.rows)

    @cached_property
    def live_mask(self) -> Mask | None:
        """What indexes may answer with; None when every row is live."""
        return Mask(words_of(self.live_flags), self.live_count) if self.dead else None

    def at(self, now_us: int) -> AtMoment[SegmentView]:
        """The same, less the rows that have expired."""
        known: AtMoment[SegmentView] | None = self.__dict__.get("_at")
        if known is None or not known.since_us <= now_us < known.until_us:
            # As cached_property does it: the picture itself stays what it is.
            known = self.__dict__["_at"] = self._compute_at(known, now_us)
        return known

    def _compute_at(self, known: AtMoment[SegmentView] | None, now_us: int) -> AtMoment[SegmentView]:
        """From what was left at an earlier moment, or from the start."""
        if known is None or known.since_us > now_us:
            known = AtMoment(None, 0, 0)
        before = known.left or self
        gone, since_us, until_us = self.segment.expired(self.rows, known.since_us, now_us)
        dead = before.dead | BitMap(gone.astype(np.uint32)) if len(gone) else before.dead
        if len(dead) == len(before.dead):
            return AtMoment(known.left, since_us, until_us)
        left = replace(self, dead=dead)
        mask: Mask | None = before.__dict__.get("live_mask")
        if mask is not None and len(gone) <= _FEW_EXPIRED * self.rows:
            left.__dict__["live_mask"] = Mask(words_without(mask.words, gone), left.live_count)
        return AtMoment(left, since_us, until_us)

    def without(self, rows: Rows) -> SegmentView:
        return replace(self, dead=self.dead | BitMap(rows.astype(np.uint32)))


class Places(NamedTuple):
    """Where points are: the segment's number in the view, or -1, and the row. int64[n] each."""

    segments: NDArray[np.int64]
    rows: Rows

    @property
    def found(self) -> Flags:
        return self.segments >= 0

    def by_segment(self) -> Iterator[tuple[int, Flags]]:
        """Each segment that holds some of the points, and which points those are."""
        for number in np.unique(self.segments[self.found]).tolist():
            yield number, self.segments == number


@dataclass(frozen=True)
class View:
    """Segments as of a sequence. An id is live in at most one row of all of them.

    A point that has expired stays live here until it is deleted; `at` leaves it out.
    """

    sequence: int
    segments: tuple[SegmentView, ...]

    @property
    def live_count(self) -> int:
        return sum(part.live_count for part in self.segments)

    def at(self, now_us: int) -> View:
        """The same without the points that have expired: what readers look at.

        Nothing is computed again before the next point expires.
        """
        known: AtMoment[View] | None = self.__dict__.get("_at")
        if known is None or not known.since_us <= now_us < known.until_us:
            known = self.__dict__["_at"] = self._compute_at(now_us)
        return self if known.left is None else known.left

    def next_expiry_us(self, now_us: int) -> int:
        """When the next point expires, NEVER_US for none. Rows that are dead count as well."""
        return min((part.at(now_us).until_us for part in self.segments), default=NEVER_US)

    def _compute_at(self, now_us: int) -> AtMoment[View]:
        parts = [part.at(now_us) for part in self.segments]
        left: View | None = None
        if any(part.left is not None for part in parts):
            segments = (part.left or whole for part, whole in zip(parts, self.segments, strict=True))
            left = View(self.sequence, tuple(segments))
        since_us = max((part.since_us for part in parts), default=0)
        return AtMoment(left, since_us, min((part.until_us for part in parts), default=NEVER_US))

    def locate(self, ids: Sequence[bytes], hashes: Hashes) -> Places:
        """The live row of each id."""
        places = Places(np.full(len(ids), -1, np.int64), np.full(len(ids), -1, np.int64))
        for number, part in enumerate(self.segments):
            rows = part.segment.find(ids, hashes, part.rows)
            hits = np.flatnonzero(rows >= 0)
            if part.dead and len(hits):
                hits = hits[[row not in part.dead for row in rows[hits].tolist()]]
            places.segments[hits] = number
            places.rows[hits] = rows[hits]
        return places


def hash_ids(ids: Sequence[bytes]) -> Hashes:
    """xxh3_64 of each encoded id: uint64[n]."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, ids), np.uint64, len(ids))
