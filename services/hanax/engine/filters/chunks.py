"""Metadata indexes of the segment that grows: of frozen runs of rows, made when a filter first asks.

Runs are of 256 rows, and eight of a size become one of the next, up to 131,072: a filter looks at few of
them, each row is decoded three or four times in its life in memory, and at most 255 rows have none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from hanax.engine.filters.collecting import Collector
from hanax.engine.filters.metadata_index import IndexedRows, MetadataIndex

# Multiples of 64, so that their bitmaps join at words.
_SIZES: Final = (131_072, 16_384, 2_048, 256)
_RUN: Final = 2_048


class Chunks:
    """metadata: the object of each row. Others append to it; what is there never changes."""

    def __init__(self, pins: Mapping[str, str], metadata: Sequence[bytes]) -> None:
        self._pins = pins
        self._metadata = metadata
        self._lock = threading.Lock()
        self._chunks: tuple[IndexedRows, ...] = ()

    def upto(self, rows: int) -> Sequence[IndexedRows]:
        """Indexes of the first `rows` rows, but for the last 255 or fewer.

        The last may go past `rows`: another reader, who knew more of them, had it made.
        """
        chunks = self._chunks
        if rows - _end(chunks) >= _SIZES[-1]:
            # Others that ask wait: they would make the same.
            with self._lock:
                if rows - _end(self._chunks) >= _SIZES[-1]:
                    self._extend(rows)
                chunks = self._chunks
        return [chunk for chunk in chunks if chunk.base < rows] if _end(chunks) > rows else chunks

    def _extend(self, rows: int) -> None:
        known = {(chunk.base, chunk.index.rows): chunk for chunk in self._chunks}
        chunks: list[IndexedRows] = []
        base = 0
        for size in _SIZES:
            while rows - base >= size:
                chunks.append(known.get((base, size)) or IndexedRows(base, self._index(base, size)))
                base += size
        self._chunks = tuple(chunks)

    def _index(self, base: int, size: int) -> MetadataIndex:
        collector = Collector(self._pins)
        for first in range(base, base + size, _RUN):
            collector.add(self._metadata[first : min(first + _RUN, base + size)])
        return collector.finish()


def _end(chunks: Sequence[IndexedRows]) -> int:
    return chunks[-1].base + chunks[-1].index.rows if chunks else 0
