"""An immutable picture of a shard: what readers work on without a lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray
from pyroaring import BitMap

from hanax.engine.index.protocol import Mask
from hanax.engine.segment.masks import Flags, flags_of_live, words_of
from hanax.engine.segment.protocol import Hashes, Rows, Segment

_NOBODY = BitMap()


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
    """Segments as of a sequence. An id is live in at most one row of all of them."""

    sequence: int
    segments: tuple[SegmentView, ...]

    @property
    def live_count(self) -> int:
        return sum(part.live_count for part in self.segments)

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
