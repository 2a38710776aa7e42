"""Values of one metadata field, as facets, groups and orders see them.

A value is a JSON scalar: text, a number, true, false or null. Equal numbers are one value, however they
were written: 2.0 is 2. An array stands for each of its elements; objects, and arrays inside arrays, are no
values. The wire form of a value is its JSON, which is also what tells 1 from true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from hanax.core.errors import InvalidArgument
from hanax.core.filters import Scalar

Path = tuple[str, ...]

# Integers that JSON readers and writers here keep exact: -2^63 up to 2^64 - 1.
_EXACT_FROM: Final = -(2.0**63)
_EXACT_TO: Final = 2.0**64


class Missing:
    """The value of a field that is not there. Equal to nothing and not of a JSON type."""


MISSING: Final = Missing()


def reader_of(path: Path) -> Callable[[dict[str, Any]], Any]:
    """A function that finds the field's value in decoded metadata, or MISSING.

    A top-level key that is spelt like the whole path comes first.
    """
    whole = ".".join(path)
    if len(path) == 1:
        return lambda metadata: metadata.get(whole, MISSING)

    def read(metadata: dict[str, Any]) -> Any:
        if whole in metadata:
            return metadata[whole]
        value: Any = metadata
        for name in path:
            if type(value) is not dict or name not in value:
                return MISSING
            value = value[name]
        return value

    return read


def scalars_of(value: object) -> list[Scalar]:
    """The values that a field's value stands for, with repeats; none for MISSING and objects."""
    if type(value) is list:
        return [canonical(item) for item in value if type(item) is not list and type(item) is not dict]
    if value is MISSING or type(value) is dict:
        return []
    return [canonical(value)]


def canonical(value: Any) -> Scalar:
    """The one spelling of equal scalars: whole numbers are integers."""
    if type(value) is float and value.is_integer() and _EXACT_FROM <= value < _EXACT_TO:
        return int(value)
    scalar: Scalar = value
    return scalar


def value_from_json(raw: bytes) -> Scalar:
    """A value from its wire form. Raises InvalidArgument."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"a value is not JSON: {error}") from None
    if isinstance(value, list | dict):
        raise InvalidArgument("a value is text, a number, true, false or null")
    return canonical(value)


def position_of(value: Scalar) -> tuple[int, Any]:
    """Where a value stands among all: numbers, then text by code point, false, true, null."""
    if value is None:
        return 3, 0
    if isinstance(value, bool):
        return 2, value
    return (1, value) if isinstance(value, str) else (0, value)
