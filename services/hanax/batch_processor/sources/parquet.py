"""Parquet, by row groups: a part is never less than a row group, unless that is large.

To reach a row in the middle of a row group everything before it has to be decoded. A row group is read in
small batches, so that memory is bounded whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hanax.batch_processor.sources import Item, Part
from hanax.batch_processor.sources.arrow_values import json_of, values_of
from hanax.batch_processor.sources.tables import Table
from hanax.core.errors import HanaxError, InvalidUpload

_ROWS_AT_ONCE: Final = 256
# Decoded at once, whatever is read at once: each time costs a copy of all texts that the row group names.
_MOST_AT_ONCE: Final = 16_384
# Fewer rows where they are large, as far as the file's own sums tell.
_BYTES_AT_ONCE: Final = 16 * 1024 * 1024
# A column of one value takes some bytes for any number of rows, and each hundred thousand of them is a task.
_MOST_ROWS: Final = 2**31
# A larger row group is several parts, so that several may work on it.
_LARGE_GROUP: Final = 65_536


class Parquet:
    """`TableSource` of a .parquet file. A position is the row group and the row in it where a part begins."""

    dimension = None

    def __init__(self, path: Path) -> None:
        """Raises InvalidUpload for a file that is not one, or is cut."""
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                metadata, texts = file.metadata, _texts(file.schema_arrow)
            self._file = pq.ParquetFile(
                path,
                metadata=metadata,
                memory_map=True,
                pre_buffer=False,
                read_dictionary=texts,
                arrow_extensions_enabled=True,
            )
            names = self._file.schema_arrow.names
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InvalidUpload(f"the upload is no Parquet file that can be read: {error}") from None
        if len(set(names)) < len(names):
            raise InvalidUpload("the upload has two columns of the same name")
        self.columns = tuple(names)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        self._groups = [group.num_rows for group in groups]
        if sum(self._groups) > _MOST_ROWS:
            raise InvalidUpload(f"the upload says that it has {sum(self._groups)} rows; at most {_MOST_ROWS}")
        fitting = (
            _BYTES_AT_ONCE * group.num_rows // max(1, group.total_byte_size)
            for group in groups
            if group.num_rows
        )
        self._most = max(1, min([_MOST_AT_ONCE, *fitting]))

    def divide(self, items: int, done: Part | None) -> Iterator[Part]:
        behind = -1 if done is None else done.first
        for part in self._parts(items):
            if part.first > behind:
                yield part

    def _parts(self, items: int) -> Iterator[Part]:
        first = count = 0
        begin = 0
        for group, rows in enumerate(self._groups):
            if count + rows > max(items, _LARGE_GROUP) and count:
                yield Part(first, count, {"group": begin, "row": 0})
                first, count = first + count, 0
            if not count:
                begin = group
            if rows > _LARGE_GROUP:
                for row in range(0, rows, _LARGE_GROUP):
                    size = min(_LARGE_GROUP, rows - row)
                    yield Part(first, size, {"group": group, "row": row})
                    first += size
                continue
            count += rows
            if count >= items:
                yield Part(first, count, {"group": begin, "row": 0})
                first, count = first + count, 0
        if count:
            yield Part(first, count, {"group": begin, "row": 0})

    def read(self, part: Part, skip: int) -> Iterator[Item]:
        for table in self.tables(part, skip, _ROWS_AT_ONCE):
            yield from table.items()

    def tables(self, part: Part, skip: int, most: int) -> Iterator[Table]:
        group, row = part.position["group"], part.position["row"] + skip
        while group < len(self._groups) and row >= self._groups[group]:
            row -= self._groups[group]
            group += 1
        groups = list(range(group, len(self._groups)))
        number, end = part.first + skip, part.first + part.count
        if number >= end or not groups:
            return
        try:
            for batch in self._file.iter_batches(self._most, row_groups=groups):
                if row >= batch.num_rows:
                    row -= batch.num_rows
                    continue
                wanted = batch.slice(row, end - number)
                row = 0
                for at in range(0, wanted.num_rows, most):
                    some = wanted.slice(at, most)
                    yield _table(number, some)
                    number += some.num_rows
                if number >= end:
                    return
        except (pa.ArrowException, OSError) as error:
            raise InvalidUpload(f"the upload is damaged behind row {number}: {error}") from None

    def close(self) -> None:
        self._file.close()


def _texts(schema: pa.Schema) -> list[str]:
    """Columns of texts, which are read with each of their values once: of a file of 2 KB that names one text
    of 40 MB a thousand times, a thousand copies would be made.
    """
    kinds = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return [field.name for field in schema if field.type in kinds]


def _table(first: int, batch: pa.RecordBatch) -> Table:
    columns = {
        name: values_of(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    vectors = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
    others = {name: column for name, column in columns.items() if name not in vectors}
    rows: list[dict[str, Any]] = []
    faults: dict[int, HanaxError] = {}
    for place, values in enumerate(zip(*others.values(), strict=True)):
        try:
            found = zip(others, values, strict=True)
            rows.append({name: json_of(value, name) for name, value in found if value is not None})
        except HanaxError as fault:
            rows.append({})
            faults[place] = fault
    return Table(first, batch.num_rows, vectors, rows, faults)
