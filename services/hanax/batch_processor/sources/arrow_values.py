"""From columns of Arrow to values of rows: matrices where they are vectors, else what JSON has a form for.

A value that Python has no form for (a date past its calendar, text that is no UTF-8) fails its row alone.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hanax.batch_processor.sources import MAX_ROW_BYTES
from hanax.core.errors import BodyTooLarge, HanaxError, InvalidArgument

# As much as copies of texts may take.
_BYTES_AT_ONCE: Final = 16 * 1024 * 1024
# What Arrow raises for a value; UnicodeDecodeError is a ValueError, two equal keys of a map are a KeyError.
_NO_VALUE: Final = (ValueError, OverflowError, KeyError, pa.ArrowException)


def values_of(column: pa.Array) -> Any:
    """By row: vectors as float32 rows where the column holds nothing else, others as a list of Python's own
    values, with a HanaxError for one that there is none for.
    """
    if isinstance(column, pa.ExtensionArray) and column.type.extension_name != "arrow.uuid":
        column = column.storage
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list and pa.types.is_floating(kind.value_type) and column.null_count == 0 and len(column):
        flat = column.flatten()
        width, rest = divmod(len(flat), len(column))
        lengths = column.value_lengths()
        if not rest and flat.null_count == 0 and pc.all(pc.equal(lengths, width)).as_py():
            with np.errstate(over="ignore"):
                return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), width)
    return _python_values(column)


def json_of(value: Any, name: str) -> Any:
    """The value as JSON has it. Raises InvalidArgument for what it has no form for, BodyTooLarge."""
    kind = type(value)
    if kind is int or (kind is str and len(value) <= MAX_ROW_BYTES):
        # Most of them.
        return value
    match value:
        case str():
            raise BodyTooLarge(
                f"{name}: a text of {len(value)} characters; a row has at most {MAX_ROW_BYTES} bytes",
                limit_bytes=MAX_ROW_BYTES,
            )
        case float() if not math.isfinite(value):
            raise InvalidArgument(f"{name}: the number {value} has no form in JSON")
        case bool() | int() | float() | np.ndarray() | None:
            return value
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return json_of(float(value), name)
        case uuid.UUID():
            return str(value)
        case list():
            return [json_of(one, name) for one in value]
        case dict():
            return {str(key): json_of(one, name) for key, one in value.items()}
        case HanaxError():
            raise type(value)(f"{name}: {value.message}")
        case _:
            raise InvalidArgument(f"{name}: a value of type {type(value).__name__} has no form in JSON")


def _python_values(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        if _longest(column.dictionary) * len(column) > _BYTES_AT_ONCE:
            return _shared_values(column)
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        # Tables have NaN for what is missing.
        column = pc.if_else(pc.is_nan(column), None, column)
    in_microseconds = _in_microseconds(column.type)
    try:
        if in_microseconds != column.type:
            # Python counts no nanoseconds.
            column = column.cast(in_microseconds, safe=False)
        # To ask for maps takes eight times as long.
        maps: dict[str, Any] = {"maps_as_pydicts": "strict"} if pa.types.is_nested(column.type) else {}
        return list(column.to_pylist(**maps))
    except _NO_VALUE:
        return [_one_value(column, place) for place in range(len(column))]


def _longest(values: pa.Array) -> int:
    """Bytes of the longest text; 0 where they are none."""
    kinds = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return (pc.max(pc.binary_length(values)).as_py() or 0) if values.type in kinds else 0


def _shared_values(column: pa.DictionaryArray) -> list[Any]:
    """Each text once, however many rows name it."""
    used = pc.unique(column.indices).drop_null()
    texts = _python_values(column.dictionary.take(used))
    by_index = dict(zip(used.to_pylist(), texts, strict=True))
    return [by_index.get(index) for index in column.indices.to_pylist()]


def _one_value(column: pa.Array, place: int) -> Any:
    try:
        return column[place].as_py(maps_as_pydicts="strict")
    except _NO_VALUE as error:
        return InvalidArgument(f"a value that can't be read: {error}")


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    """The same type, but with microseconds where it has nanoseconds."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_microseconds(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_microseconds(kind.value_type)))
    return kind
