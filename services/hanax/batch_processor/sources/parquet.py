"""Parquet, by row groups: a part is never less than a row group, unless that is large.

To reach a row in the middle of a row group everything before it has to be decoded. A row group is read in
small batches, so that memory is bounded whatever its size.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hanax.batch_processor.sources import Item, Part
from hanax.batch_processor.sources.tables import Table
from hanax.core.errors import HanaxError, InvalidArgument, InvalidUpload
from hanax.core.json_values import is_unicode

_ROWS_AT_ONCE: Final = 256
_MOST_AT_ONCE: Final = 1_024
# A larger row group is several parts, so that several may work on it.
_LARGE_GROUP: Final = 65_536


class Parquet:
    """`TableSource` of a .parquet file. A position is the row group and the row in it where a part begins."""

    dimension = None

    def __init__(self, path: Path) -> None:
        """Raises InvalidUpload for a file that is not one, or is cut."""
        try:
            self._file = pq.ParquetFile(path, memory_map=True, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise InvalidUpload(f"the upload is no Parquet file that can be read: {error}") from None
        names = self._file.schema_arrow.names
        if len(set(names)) < len(names):
            raise InvalidUpload("the upload has two columns of the same name")
        self.columns = tuple(names)
        metadata = self._file.metadata
        self._groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]

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
            for batch in self._file.iter_batches(min(most, _MOST_AT_ONCE), row_groups=groups):
                if row >= batch.num_rows:
                    row -= batch.num_rows
                    continue
                wanted = batch.slice(row, end - number)
                row = 0
                yield _table(number, wanted)
                number += wanted.num_rows
                if number >= end:
                    return
        except (pa.ArrowException, OSError) as error:
            raise InvalidUpload(f"the upload is damaged behind row {number}: {error}") from None

    def close(self) -> None:
        self._file.close()


def _table(first: int, batch: pa.RecordBatch) -> Table:
    columns = {name: _values(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    vectors = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
    others = {name: column for name, column in columns.items() if name not in vectors}
    rows: list[dict[str, Any]] = []
    faults: dict[int, HanaxError] = {}
    for place, values in enumerate(zip(*others.values(), strict=True)):
        try:
            found = zip(others, values, strict=True)
            rows.append({name: _json(value, name) for name, value in found if value is not None})
        except HanaxError as fault:
            rows.append({})
            faults[place] = fault
    return Table(first, batch.num_rows, vectors, rows, faults)


def _values(column: pa.Array) -> Any:
    """Values by row: vectors as float32 rows where the column holds nothing else, others as Python's own."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list and pa.types.is_floating(kind.value_type) and column.null_count == 0 and len(column):
        flat = column.flatten()
        width, rest = divmod(len(flat), len(column))
        lengths = column.value_lengths()
        if not rest and flat.null_count == 0 and pa.compute.all(pa.compute.equal(lengths, width)).as_py():
            with np.errstate(over="ignore"):
                return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), width)
    return column.to_pylist()


def _json(value: Any, name: str) -> Any:
    """The value as JSON has it. Raises InvalidArgument for what it has no form for."""
    match value:
        case str():
            if is_unicode(value):
                return value
        case bool() | int() | float() | np.ndarray():
            return value
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return float(value)
        case uuid.UUID():
            return str(value)
        case list():
            return [_json(one, name) for one in value]
        case dict():
            return {str(key): _json(one, name) for key, one in value.items()}
        case None:
            return None
        case _:
            pass
    raise InvalidArgument(f"{name}: a value of type {type(value).__name__} has no form in JSON")
