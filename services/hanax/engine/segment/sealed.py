"""A segment in memory-mapped files, immutable (docs/formats/shard.md)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.filters.metadata_index import IndexedRows
from hanax.engine.index.protocol import Source
from hanax.engine.schema import Schema, Vectors
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.segment.metadata_indexes import SegmentMetadataIndex, map_files
from hanax.engine.segment.protocol import NEVER_US, NOTHING_EXPIRES, Block, Expired, Hashes, Rows
from hanax.engine.storage.files import checked_size, map_array, map_bytes, read_document

FORMAT = 2
# Without an index of the metadata.
FORMAT_BEFORE = 1
DOCUMENT = "segment.json"
EXPIRIES = "expires"
EXPIRING_ROWS = "expiring_rows"
# Byte strings up to this length may be taken as cells of an array.
_CELL_BYTES = 64
_NO_NORMS = np.empty(0, dtype=np.float32)


class SealedSegment:
    """Maps the files of `folder`. Raises DataLoss when one is missing or differs from its checksum."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        body = read_document(folder / DOCUMENT, FORMAT, FORMAT_BEFORE)
        for name, file in body["files"].items():
            checked_size(folder / name, file["bytes"], file["checksum"])
        self.name = folder.name
        self.rows: int = body["rows"]
        self.bytes = sum(file["bytes"] for file in body["files"].values())
        n = self.rows
        self._hashes: Hashes = map_array(folder / "hashes", "<u8", (n,))
        self._hash_rows: NDArray[np.uint32] = map_array(folder / "hash_rows", "<u4", (n,))
        self._ids = _Blobs(folder, "ids", n)
        self._metadata = _Blobs(folder, "metadata", n)
        self._created: NDArray[np.int64] = map_array(folder / "created", "<i8", (n,))
        self._updated: NDArray[np.int64] = map_array(folder / "updated", "<i8", (n,))
        self._versions: NDArray[np.uint64] = map_array(folder / "versions", "<u8", (n,))
        # No files where every row stays.
        self._expires: NDArray[np.int64] | None = None
        if EXPIRIES in body["files"]:
            expiring = body["files"][EXPIRING_ROWS]["bytes"] // 4
            self._expires = map_array(folder / EXPIRIES, "<i8", (n,))
            self._expiring_rows: NDArray[np.uint32] = map_array(folder / EXPIRING_ROWS, "<u4", (expiring,))
        self._vectors: dict[str, Vectors] = {}
        self._norms: dict[str, NDArray[np.float32]] = {}
        for number, column in enumerate(body["columns"]):
            field = schema.field(column["name"])
            self._vectors[column["name"]] = map_array(
                folder / f"vectors.{number}", "<f4", (n, field.dimension)
            )
            self._norms[column["name"]] = (
                map_array(folder / f"inverse_norms.{number}", "<f4", (n,))
                if field.metric is Metric.COSINE
                else _NO_NORMS
            )
        own = map_files(folder, body["files"])
        # Replaced as a whole. None: segments of the format before have none of their own.
        self.metadata_index = None if own is None else SegmentMetadataIndex(own)
        self._fields = {column["name"]: schema.field(column["name"]) for column in body["columns"]}
        # By column. Replaced as a whole, never changed: whoever reads it has one or the other.
        self.indexes: Mapping[str, SegmentIndex] = {}

    @property
    def sources(self) -> Mapping[str, Source]:
        """What indexes are built on, by column."""
        return {name: self.source(name) for name in self._fields}

    def source(self, column: str) -> Source:
        return Source(self._vectors[column], self._norms[column], self._fields[column].metric)

    @property
    def disk_bytes(self) -> int:
        """With its indexes."""
        size: int = self.bytes + sum(index.bytes for index in self.indexes.values())
        return size if self.metadata_index is None else size + self.metadata_index.bytes

    def index(self, column: str) -> SegmentIndex | None:
        return self.indexes.get(column)

    def metadata_indexes(self, rows: int) -> Sequence[IndexedRows]:
        known = self.metadata_index
        return () if known is None else (IndexedRows(0, known.index),)

    def find(self, ids: Sequence[bytes], hashes: Hashes, rows: int) -> Rows:
        found = np.full(len(ids), -1, dtype=np.int64)
        if self.rows == 0:
            return found
        # From the last entry down: of several rows of one id, the last is the one that may be live.
        places = np.searchsorted(self._hashes, hashes, side="right") - 1
        inside = np.maximum(places, 0)
        for number in np.flatnonzero(self._hashes[inside] == hashes).tolist():
            place = int(places[number])
            while place >= 0 and self._hashes[place] == hashes[number]:
                row = int(self._hash_rows[place])
                if self._ids.at(row) == ids[number]:
                    found[number] = row
                    break
                place -= 1
        return found

    def blocks(self, column: str, rows: int) -> Iterator[Block]:
        yield Block(0, self._vectors[column], self._norms[column])

    def vectors(self, column: str, rows: Rows) -> Vectors:
        return self._vectors[column][rows]

    def ids(self, rows: Rows) -> list[bytes]:
        return self._ids.take(rows)

    def hashes(self, rows: Rows) -> Hashes:
        by_row = np.empty(self.rows, dtype=np.uint64)
        by_row[self._hash_rows] = self._hashes
        return by_row[rows]

    def metadata(self, rows: Rows) -> list[bytes]:
        return self._metadata.take(rows)

    def created_at_us(self, rows: Rows) -> NDArray[np.int64]:
        return self._created[rows]

    def updated_at_us(self, rows: Rows) -> NDArray[np.int64]:
        return self._updated[rows]

    def expires_at_us(self, rows: Rows) -> NDArray[np.int64] | None:
        return None if self._expires is None else self._expires[rows]

    def expired(self, rows: int, after_us: int, now_us: int) -> Expired:
        if (expires := self._expires) is None:
            return NOTHING_EXPIRES
        order = self._expiring_rows
        first = bisect_right(order, after_us, key=expires.__getitem__)
        count = bisect_right(order, now_us, first, key=expires.__getitem__)
        return Expired(
            order[first:count].astype(np.int64),
            int(expires[order[count - 1]]) if count else 0,
            int(expires[order[count]]) if count < len(order) else NEVER_US,
        )

    def versions(self, rows: Rows) -> NDArray[np.uint64]:
        return self._versions[rows]

    def in_hash_order(self, rows: int) -> tuple[Hashes, NDArray[np.integer]]:
        return self._hashes, self._hash_rows


class _Blobs:
    """Byte strings of n rows, one behind the other, with their offsets."""

    def __init__(self, folder: Path, name: str, rows: int) -> None:
        self._offsets: NDArray[np.uint64] = map_array(folder / f"{name}.offsets", "<u8", (rows + 1,))
        # Its items are integers of Python's, at half the price of an array's for a few of them.
        self._numbers = self._offsets.data
        # A slice of a map is bytes at once, half the price of a slice of an array's buffer.
        self._data = map_bytes(folder / f"{name}.bytes")
        # Of one length, as the ids of numbers and UUIDs are: many are taken at a fifth of the price.
        self._cells: NDArray[np.void] | None = None
        length = len(self._data) // rows if rows else 0
        if 0 < length <= _CELL_BYTES and (np.diff(self._offsets) == length).all():
            self._cells = np.frombuffer(self._data, f"V{length}")

    def at(self, row: int) -> bytes:
        return self._data[int(self._offsets[row]) : int(self._offsets[row + 1])]

    def take(self, rows: Rows) -> list[bytes]:
        if self._cells is not None:
            cells: list[bytes] = self._cells[rows].tolist()
            return cells
        data, offsets = self._data, self._numbers
        return [data[offsets[row] : offsets[row + 1]] for row in rows.tolist()]
