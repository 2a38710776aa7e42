"""The operand of each operator: checked when it is read, and written back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, Final

from hanax.core.errors import InvalidFilter, InvalidId
from hanax.core.filter_geo import parse_box, parse_polygon, parse_radius, write_geo
from hanax.core.filter_places import show
from hanax.core.filters import GeoBox, GeoPolygon, GeoRadius, Operand, Operator, Range, Scalar
from hanax.core.ids import decode_id, encode_id
from hanax.core.json_values import UINT64_MAX, is_unicode, kind_of
from hanax.core.limits import MAX_FILTER_VALUES, MAX_FILTER_WORDS
from hanax.core.words import words_of

# Operators whose operand is true or false, and true where it is left out.
FLAGS: Final = frozenset({Operator.EXISTS, Operator.IS_NULL, Operator.IS_EMPTY})

# Integers that JSON readers and writers here keep exact.
_INT64_MIN: Final = -(2**63)

_BOUNDS: Final = ("gt", "gte", "lt", "lte")


def parse_operand(operator: Operator, value: object, where: str) -> Operand:
    """The operand in the tree's own type. Raises InvalidFilter naming the place and what was expected."""
    return _PARSERS[operator](value, where)


def write_operand(value: Operand) -> Any:
    """The JSON value that `parse_operand` reads back to an equal operand."""
    match value:
        case tuple():
            return [decode_id(item) if isinstance(item, bytes) else item for item in value]
        case Range():
            return {name: bound for name in _BOUNDS if (bound := getattr(value, name)) is not None}
        case GeoRadius() | GeoBox() | GeoPolygon():
            return write_geo(value)
        case _:
            return value


def _scalar(value: object, where: str) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    return _orderable(value, where, "text, a finite number, true, false or null")


def _orderable(
    value: object, where: str, expected: str = "a finite number or text to compare with"
) -> str | int | float:
    if isinstance(value, str) and is_unicode(value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            number = value if _INT64_MIN <= value <= UINT64_MAX else float(value)
            if math.isfinite(number):
                return number
    raise InvalidFilter(f"{where}: expected {expected}, got {kind_of(value)}")


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidFilter(f"{where}: expected true or false, got {kind_of(value)}")


def _text(value: object, where: str) -> str:
    if isinstance(value, str) and is_unicode(value):
        return value
    raise InvalidFilter(f"{where}: expected text, got {kind_of(value)}")


def _words(value: object, where: str) -> str:
    text = _text(value, where)
    count = len(words_of(text))
    if not 1 <= count <= MAX_FILTER_WORDS:
        raise InvalidFilter(f"{where}: expected text with 1 to {MAX_FILTER_WORDS} words, got {count}")
    return text


def _items(value: object, where: str, what: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise InvalidFilter(f"{where}: expected a list with at least one {what}, got {kind_of(value)}")
    if len(value) > MAX_FILTER_VALUES:
        raise InvalidFilter(f"{where}: at most {MAX_FILTER_VALUES} {what}s, got {len(value)}")
    return value


def _scalars(value: object, where: str) -> tuple[Scalar, ...]:
    return tuple(
        _scalar(item, f"{where}[{number}]") for number, item in enumerate(_items(value, where, "value"))
    )


def _ids(value: object, where: str) -> tuple[bytes, ...]:
    encoded = []
    for number, item in enumerate(_items(value, where, "id")):
        try:
            encoded.append(encode_id(item))
        except InvalidId as error:
            raise InvalidFilter(f"{where}[{number}]: {error.message}") from None
    return tuple(encoded)


def _range(value: object, where: str) -> Range:
    if not isinstance(value, dict) or not value:
        raise InvalidFilter(
            f'{where}: expected an object with bounds, such as {{"gte": 2}}, got {kind_of(value)}'
        )
    bounds: dict[str, float] = {}
    for name, bound in value.items():
        if name not in _BOUNDS:
            raise InvalidFilter(f"{where}: unknown bound {show(name)}; expected {', '.join(_BOUNDS)}")
        bounds[name] = _number(bound, f"{where}.{name}")
    return Range(**bounds)


def _number(value: object, where: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number
    raise InvalidFilter(f"{where}: expected a finite number, got {kind_of(value)}")


_PARSERS: Final[dict[Operator, Callable[[object, str], Operand]]] = {
    Operator.EQ: _scalar,
    Operator.NE: _scalar,
    Operator.GT: _orderable,
    Operator.GTE: _orderable,
    Operator.LT: _orderable,
    Operator.LTE: _orderable,
    Operator.IN: _scalars,
    Operator.NOT_IN: _scalars,
    Operator.CONTAINS: _scalar,
    Operator.STARTS_WITH: _text,
    Operator.ENDS_WITH: _text,
    Operator.EXISTS: _flag,
    Operator.IS_NULL: _flag,
    Operator.IS_EMPTY: _flag,
    Operator.VALUES_COUNT: _range,
    Operator.HAS_ID: _ids,
    Operator.TEXT: _words,
    Operator.PHRASE: _words,
    Operator.GEO_RADIUS: parse_radius,
    Operator.GEO_BOX: parse_box,
    Operator.GEO_POLYGON: parse_polygon,
}
