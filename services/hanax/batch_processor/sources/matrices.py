"""Files that hold nothing but vectors: .npy (one array) and .fvecs (TEXMEX: of each row its length, then it).

Mapped, not read: a part costs the pages that it touches. Rows have one field, the vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hanax.batch_processor.sources import Item, Part
from hanax.batch_processor.sources.tables import Table
from hanax.core.errors import DimensionMismatch, HanaxError, InvalidUpload
from hanax.core.limits import MAX_DIMENSION

# Rows that are turned into float32 at once.
_BLOCK: Final = 256


class _Rows:
    """`TableSource` of rows that can be reached by number. A position is empty: the item's number says it."""

    def __init__(self, rows: npt.NDArray[Any], field: str) -> None:
        self.dimension: int = rows.shape[1]
        self._rows = rows
        self._field = field

    def divide(self, items: int, done: Part | None) -> Iterator[Part]:
        first = 0 if done is None else done.first + done.count
        for at in range(first, len(self._rows), items):
            yield Part(at, min(items, len(self._rows) - at), {})

    def read(self, part: Part, skip: int) -> Iterator[Item]:
        for table in self.tables(part, skip, _BLOCK):
            yield from table.items()

    def tables(self, part: Part, skip: int, most: int) -> Iterator[Table]:
        end = part.first + part.count
        for at in range(part.first + skip, end, most):
            yield self._table(at, min(at + most, end))

    def _table(self, first: int, end: int) -> Table:
        # A number past float32 becomes infinite, and is refused as such.
        with np.errstate(over="ignore"):
            block = np.ascontiguousarray(self._rows[first:end], dtype=np.float32)
        return Table(first, end - first, {self._field: block})

    def close(self) -> None:
        pass


class Npy(_Rows):
    """`Source` of a .npy file: a two-dimensional array of floats of 16, 32 or 64 bits."""

    def __init__(self, path: Path, field: str) -> None:
        """Raises InvalidUpload for another array, or half of one."""
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:
            # The header is an expression of Python: there is no end of what NumPy raises for a wrong one.
            raise InvalidUpload(f"the upload is no .npy file that can be read: {error}") from None
        if array.dtype.kind != "f" or array.dtype.itemsize > 8:
            raise InvalidUpload(f"the array has the type {array.dtype}; expected floats of 16, 32 or 64 bits")
        if array.ndim != 2:
            raise InvalidUpload(f"the array has the shape {array.shape}; expected rows of vectors")
        _check_dimension(array.shape[1])
        super().__init__(array, field)


class Fvecs(_Rows):
    """`Source` of a .fvecs file, whose rows all have the length of the first."""

    def __init__(self, path: Path, field: str) -> None:
        """Raises InvalidUpload for a file that does not hold whole rows of one length."""
        size = path.stat().st_size
        if size < 8:
            raise InvalidUpload("the upload is no fvecs file: it is shorter than one vector")
        self._words: npt.NDArray[np.int32] = np.memmap(path, "<i4", "r", shape=(size // 4,))
        dimension = int(self._words[0])
        _check_dimension(dimension)
        row_bytes = 4 * (1 + dimension)
        if size % row_bytes:
            raise InvalidUpload(
                f"the upload has {size} bytes, which are no whole vectors of {dimension} numbers, as the "
                "first one has",
                dimension=dimension,
            )
        self._framed = self._words.reshape(-1, 1 + dimension)
        super().__init__(self._framed.view("<f4")[:, 1:], field)

    def _table(self, first: int, end: int) -> Table:
        told = self._framed[first:end, 0]
        faults: dict[int, HanaxError] = {}
        for place in np.flatnonzero(told != self.dimension).tolist():
            length = int(told[place])
            faults[place] = DimensionMismatch(
                f"vector {first + place} says that it has {length} numbers, the first has {self.dimension}",
                expected=self.dimension,
                got=length,
            )
        return replace(super()._table(first, end), faults=faults)


def _check_dimension(dimension: int) -> None:
    if not 1 <= dimension <= MAX_DIMENSION:
        raise InvalidUpload(
            f"the upload has vectors of {dimension} numbers; expected 1 to {MAX_DIMENSION}",
            dimension=dimension,
        )
