"""The segment that takes writes: arrays that are appended to, in memory.

One writer appends; any number of readers look at rows below the count that was published to
them. Nothing below that count ever changes or moves: vectors live in blocks that are never
reallocated, and the small columns are replaced by larger copies, not resized in place.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.filters.chunks import Chunks
from hanax.engine.filters.metadata_index import IndexedRows
from hanax.engine.schema import Schema, VectorField, Vectors, inverse_norms
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.segment.protocol import NEVER_US, Block, Expired, Hashes, Rows

# Large enough for the scan to run at the speed of memory, small enough for little collections.
_BLOCK_BYTES = 4 * 1024 * 1024
Number = TypeVar("Number", bound=np.generic)

_NO_NORMS = np.empty(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class NewRows:
    """What one write adds, one entry per id. vectors: float32[n, d] by column.

    expires_at_us: 0 for what stays; None when everything does.
    """

    ids: Sequence[bytes]
    hashes: Hashes
    metadata: Sequence[bytes]
    vectors: Mapping[str, Vectors]
    created_at_us: NDArray[np.int64]
    updated_at_us: int
    version: int
    expires_at_us: NDArray[np.int64] | None = None


class GrowingSegment:
    def __init__(self, schema: Schema) -> None:
        self.rows = 0
        self.bytes = 0
        self._columns = {name: _VectorBlocks(field) for name, field in schema.fields.items()}
        self._ids: list[bytes] = []
        self._metadata: list[bytes] = []
        self._chunks = Chunks(schema.payload_indexes, self._metadata)
        self._row_by_id: dict[bytes, int] = {}
        # Row that held the same id before, in this segment, or -1: readers of an older count need it.
        self._previous: list[int] = []
        self._hashes = np.empty(0, dtype=np.uint64)
        self._created = np.empty(0, dtype=np.int64)
        self._updated = np.empty(0, dtype=np.int64)
        self._versions = np.empty(0, dtype=np.uint64)
        self._expires = np.empty(0, dtype=np.int64)
        # Of all rows, dead ones among them.
        self._first_expiry = NEVER_US

    def append(self, new: NewRows) -> None:
        """Add rows. Call from the writer alone; readers see them when the new count is published."""
        first, after = self.rows, self.rows + len(new.ids)
        self._reserve(after)
        for name, column in self._columns.items():
            self.bytes += column.append(first, new.vectors[name])
        self._hashes[first:after] = new.hashes
        self._created[first:after] = new.created_at_us
        self._updated[first:after] = new.updated_at_us
        self._versions[first:after] = new.version
        self._expires[first:after] = 0 if new.expires_at_us is None else new.expires_at_us
        if new.expires_at_us is not None and new.expires_at_us.any():
            first_expiry = int(new.expires_at_us[new.expires_at_us > 0].min())
            self._first_expiry = min(self._first_expiry, first_expiry)
        self._ids.extend(new.ids)
        self._metadata.extend(new.metadata)
        for row, id_ in enumerate(new.ids, first):
            self._previous.append(self._row_by_id.get(id_, -1))
            self._row_by_id[id_] = row
        self.bytes += sum(map(len, new.ids)) + sum(map(len, new.metadata))
        self.rows = after

    def find(self, ids: Sequence[bytes], hashes: Hashes, rows: int) -> Rows:
        found = np.empty(len(ids), dtype=np.int64)
        for number, id_ in enumerate(ids):
            row = self._row_by_id.get(id_, -1)
            while row >= rows:
                row = self._previous[row]
            found[number] = row
        return found

    def blocks(self, column: str, rows: int) -> Iterator[Block]:
        return self._columns[column].blocks(rows)

    def index(self, column: str) -> SegmentIndex | None:
        return None

    def metadata_indexes(self, rows: int) -> Sequence[IndexedRows]:
        return self._chunks.upto(rows)

    def vectors(self, column: str, rows: Rows) -> Vectors:
        return self._columns[column].take(rows)

    def ids(self, rows: Rows) -> list[bytes]:
        return [self._ids[row] for row in rows.tolist()]

    def hashes(self, rows: Rows) -> Hashes:
        return self._hashes[rows]

    def metadata(self, rows: Rows) -> list[bytes]:
        return [self._metadata[row] for row in rows.tolist()]

    def created_at_us(self, rows: Rows) -> NDArray[np.int64]:
        return self._created[rows]

    def updated_at_us(self, rows: Rows) -> NDArray[np.int64]:
        return self._updated[rows]

    def expires_at_us(self, rows: Rows) -> NDArray[np.int64] | None:
        return None if self._first_expiry == NEVER_US else self._expires[rows]

    def expired(self, rows: int, after_us: int, now_us: int) -> Expired:
        expires = self._expires[:rows]
        if now_us < (first := self._first_expiry):
            return Expired(np.empty(0, np.int64), 0, first)
        passed = expires <= now_us
        return Expired(
            np.flatnonzero(passed & (expires > max(after_us, 0))),
            int(expires[passed].max(initial=0)),
            int(expires[expires > now_us].min(initial=NEVER_US)),
        )

    def versions(self, rows: Rows) -> NDArray[np.uint64]:
        return self._versions[rows]

    def in_hash_order(self, rows: int) -> tuple[Hashes, NDArray[np.integer]]:
        hashes = self._hashes[:rows]
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._hashes):
            return
        size = max(rows, 2 * len(self._hashes), 64)
        self._hashes = _enlarged(self._hashes, size)
        self._created = _enlarged(self._created, size)
        self._updated = _enlarged(self._updated, size)
        self._versions = _enlarged(self._versions, size)
        self._expires = _enlarged(self._expires, size)


def _enlarged(array: NDArray[Number], size: int) -> NDArray[Number]:
    larger = np.empty(size, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


class _VectorBlocks:
    """One vector column in blocks of equal size, a multiple of 64 rows."""

    def __init__(self, field: VectorField) -> None:
        self._dimension = field.dimension
        self._normed = field.metric is Metric.COSINE
        self._block_rows = max(64, _BLOCK_BYTES // (4 * field.dimension) // 64 * 64)
        self._vectors: list[Vectors] = []
        self._norms: list[NDArray[np.float32]] = []

    def append(self, first: int, vectors: Vectors) -> int:
        """Copy the rows behind the first `first` ones. Returns the bytes they take."""
        norms = inverse_norms(vectors) if self._normed else None
        done = 0
        while done < len(vectors):
            number, start = divmod(first + done, self._block_rows)
            if number == len(self._vectors):
                self._vectors.append(self._new_block())
                self._norms.append(np.empty(self._block_rows if self._normed else 0, dtype=np.float32))
            count = min(len(vectors) - done, self._block_rows - start)
            self._vectors[number][start : start + count] = vectors[done : done + count]
            if norms is not None:
                self._norms[number][start : start + count] = norms[done : done + count]
            done += count
        return vectors.nbytes

    def blocks(self, rows: int) -> Iterator[Block]:
        for number, base in enumerate(range(0, rows, self._block_rows)):
            count = min(self._block_rows, rows - base)
            norms = self._norms[number][:count] if self._normed else _NO_NORMS
            yield Block(base, self._vectors[number][:count], norms)

    def take(self, rows: Rows) -> Vectors:
        taken = np.empty((len(rows), self._dimension), dtype=np.float32)
        numbers, starts = np.divmod(rows, self._block_rows)
        for number in np.unique(numbers).tolist():
            here = numbers == number
            taken[here] = self._vectors[number][starts[here]]
        return taken

    def _new_block(self) -> Vectors:
        # An anonymous map of its own: the memory goes back to the system when the segment is
        # sealed, and pages that were never written cost nothing.
        memory = mmap.mmap(-1, self._block_rows * self._dimension * 4)
        return np.frombuffer(memory, dtype=np.float32).reshape(self._block_rows, self._dimension)
