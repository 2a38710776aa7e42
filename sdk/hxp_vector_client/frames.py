"""Frames of pandas, polars and Arrow: points from them, and results as them.

A frame has a row for each point: a column of ids, one of vectors or texts, and the others are fields of
metadata, where a missing value is a missing field. Needs the extra `pandas`, `polars` or `arrow`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from math import isnan
from typing import Any, Final, TypedDict

import numpy as np
from pydantic_core import to_json

from hxp_vector_client.arrays import Array, stack, to_matrix
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.extras import imported
from hxp_vector_client.models.points import Hit, Point

# Columns that are no metadata; a field of such a name comes as `metadata.` and its name.
_OWN: Final = ("id", "score", "vector")
# What pandas writes where there is nothing.
_NOTHING: Final = frozenset({"NAType", "NaTType", "NoneType"})


@dataclass(frozen=True, slots=True)
class FrameColumns:
    """What the columns of a frame hold. metadata: None: all that are not named otherwise."""

    vector: str | None = "vector"
    text: str | None = None
    id: str | None = "id"
    metadata: Sequence[str] | None = None


class FramePoints(TypedDict):
    """Arguments of upsert, insert and update."""

    vectors: Array | None
    texts: list[str | None] | None
    ids: list[Any] | None
    metadata: list[dict[str, Any]]


def points_of(frame: Any, columns: FrameColumns | None = None) -> FramePoints:
    """The points of a pandas or polars DataFrame, or of a pyarrow Table.

    Raises InvalidArgument for a column that is not there, or that holds no vectors.
    """
    named = columns or FrameColumns()
    names = [str(name) for name in _names(frame)]
    # An id column that nobody named may be missing: ids are made then.
    id_column = named.id if named.id in names or named != FrameColumns() else None
    for name in (named.vector, named.text, id_column, *(named.metadata or ())):
        if name is not None and name not in names:
            raise InvalidArgument(f"the frame has no column {name!r}; it has: {', '.join(names)[:500]}")
    taken = {named.vector, named.text, id_column}
    others = named.metadata if named.metadata is not None else [name for name in names if name not in taken]
    values = {name: _values(frame, name) for name in others}
    rows = len(frame)
    return FramePoints(
        vectors=None if named.vector is None else _matrix(frame, named.vector),
        texts=None if named.text is None else [_plain(one) for one in _values(frame, named.text)],
        ids=None if id_column is None else [_plain(one) for one in _values(frame, id_column)],
        metadata=[_row(values, place) for place in range(rows)],
    )


def to_pandas(points: Iterable[Hit | Point]) -> Any:
    """A DataFrame of hits or points. Raises MissingExtra."""
    pandas = imported("pandas", "pandas")
    columns, vectors = _table(points)
    if vectors is not None:
        columns["vector"] = list(vectors)
    return pandas.DataFrame(columns)


def to_polars(points: Iterable[Hit | Point]) -> Any:
    """A DataFrame of hits or points. Raises MissingExtra."""
    polars = imported("polars", "polars")
    columns, vectors = _table(points)
    series = {name: polars.Series(name, values, strict=False) for name, values in _uniform(columns).items()}
    if vectors is not None:
        series["vector"] = polars.Series("vector", vectors)
    return polars.DataFrame(series)


def to_arrow(points: Iterable[Hit | Point]) -> Any:
    """A Table of hits or points. Raises MissingExtra."""
    arrow = imported("pyarrow", "arrow")
    columns, vectors = _table(points)
    arrays = {name: arrow.array(values) for name, values in _uniform(columns).items()}
    if vectors is not None:
        flat = arrow.array(vectors.reshape(-1))
        arrays["vector"] = arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return arrow.table(arrays)


def _names(frame: Any) -> list[Any]:
    if hasattr(frame, "column_names"):
        return list(frame.column_names)
    if hasattr(frame, "columns"):
        return list(frame.columns)
    raise InvalidArgument(f"expected a DataFrame or a Table, got {type(frame).__name__}")


def _values(frame: Any, name: str) -> list[Any]:
    """A column as Python's values, whichever library's it is."""
    column = frame[name]
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    raise InvalidArgument(f"column {name!r}: can not be read from {type(column).__name__}")


def _matrix(frame: Any, name: str) -> Array:
    column = frame[name]
    if hasattr(column, "combine_chunks"):
        whole = column.combine_chunks()
        size = getattr(whole.type, "list_size", 0)
        if size and not whole.null_count:
            # Of Arrow's fixed lists: no number becomes an object.
            return to_matrix(whole.flatten().to_numpy(zero_copy_only=False).reshape(-1, size), name)
    elif hasattr(column, "to_numpy"):
        array = column.to_numpy()
        if array.ndim == 2:
            return to_matrix(array, name)
    rows = _values(frame, name)
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    return to_matrix(rows, name)


def _row(values: dict[str, list[Any]], place: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, column in values.items():
        value = _plain(column[place])
        if value is not None:
            row[name.removeprefix("metadata.") if name.removeprefix("metadata.") in _OWN else name] = value
    return row


def _plain(value: Any) -> Any:
    """As JSON has it; None for what stands where there is nothing."""
    if type(value).__name__ in _NOTHING or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    return value


def _table(points: Iterable[Hit | Point]) -> tuple[dict[str, list[Any]], Array | None]:
    """Columns by name, and the vectors where all have one."""
    found = list(points)
    columns: dict[str, list[Any]] = {"id": [point.id for point in found]}
    if any(isinstance(point, Hit) for point in found):
        columns["score"] = [getattr(point, "score", None) for point in found]
    fields = dict.fromkeys(name for point in found for name in point.metadata or ())
    for field in fields:
        name = f"metadata.{field}" if field in _OWN else field
        columns[name] = [(point.metadata or {}).get(field) for point in found]
    if not found or any(point.vector is None for point in found):
        return columns, None
    return columns, stack(point.vector for point in found)


def _uniform(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Libraries that have one type in a column get text where there are several."""
    return {name: _of_one_type(values) for name, values in columns.items()}


def _of_one_type(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return values if kinds <= {int, float, str, bool, datetime, list} else _as_text(values)
    return _as_text(values)


def _as_text(values: list[Any]) -> list[str | None]:
    return [
        None if value is None else value if isinstance(value, str) else to_json(value).decode()
        for value in values
    ]
