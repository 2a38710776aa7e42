"""What a segment can be asked, growing or sealed. Rows are int64 arrays below its published count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hanax.engine.filters.metadata_index import IndexedRows
from hanax.engine.schema import Vectors
from hanax.engine.segment.indexes import SegmentIndex

Rows = NDArray[np.int64]
Hashes = NDArray[np.uint64]

# Later than any moment.
NEVER_US: Final = 2**63 - 1


class Block(NamedTuple):
    """Consecutive rows of a vector column from `base`, a multiple of 64. Norms are empty but for cosine."""

    base: int
    vectors: Vectors
    inverse_norms: NDArray[np.float32]


class Expired(NamedTuple):
    """Rows that expired in a span of time, dead ones among them, and all that there is to know until then.

    since_us: the last time at or before the span's end at which rows expired, 0 for none. until_us: the next.
    """

    rows: Rows
    since_us: int
    until_us: int


NOTHING_EXPIRES: Final = Expired(np.empty(0, np.int64), 0, NEVER_US)


class Segment(Protocol):
    def find(self, ids: Sequence[bytes], hashes: Hashes, rows: int) -> Rows:
        """The last row of each id among the first `rows`, or -1. Says nothing of tombstones.

        An id that was written again has several rows; those before the last are dead.
        """

    def blocks(self, column: str, rows: int) -> Iterator[Block]: ...

    def index(self, column: str) -> SegmentIndex | None:
        """What searches all rows of the column faster than a scan, if there is something."""

    def metadata_indexes(self, rows: int) -> Sequence[IndexedRows]:
        """Of rows from 0 on, one behind the other; rows after the last have none.

        The last may go past `rows`.
        """

    def vectors(self, column: str, rows: Rows) -> Vectors:
        """float32[n, dimension], copied."""

    def ids(self, rows: Rows) -> list[bytes]: ...

    def hashes(self, rows: Rows) -> Hashes: ...

    def metadata(self, rows: Rows) -> list[bytes]: ...

    def created_at_us(self, rows: Rows) -> NDArray[np.int64]: ...

    def updated_at_us(self, rows: Rows) -> NDArray[np.int64]: ...

    def expires_at_us(self, rows: Rows) -> NDArray[np.int64] | None:
        """0 where a row stays; None when all of the segment stay."""

    def expired(self, rows: int, after_us: int, now_us: int) -> Expired:
        """Of the first `rows`, those that expired after `after_us`, up to and at `now_us`."""

    def versions(self, rows: Rows) -> NDArray[np.uint64]:
        """Sequence of the write that made each row."""

    def in_hash_order(self, rows: int) -> tuple[Hashes, NDArray[np.integer]]:
        """Hashes of the first `rows`, ascending, and the row of each."""
