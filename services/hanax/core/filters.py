"""Filters on metadata: an expression tree, parsed from JSON and written back to it.

    {"and": [{"field": "year", "operator": "gte", "value": 2020},
             {"not": {"field": "author.name", "operator": "eq", "value": "Ann"}}]}

A list of conditions is their conjunction. What each operator means for missing fields, nulls,
arrays and mixed types is told in docs/filters.md, and tested from the table there.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from hanax.core.errors import InvalidFilter
from hanax.core.json_values import UINT64_MAX, is_unicode, kind_of
from hanax.core.limits import (
    MAX_FILTER_BYTES,
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    MAX_FILTER_VALUES,
)

Scalar = str | int | float | bool | None


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True)
class Condition:
    """One field against one operand. `path` is the dotted field, split."""

    path: tuple[str, ...]
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    child: Filter


Filter = Condition | And | Or | Not

# Integers that JSON readers and writers here keep exact.
_INT64_MIN: Final = -(2**63)

_OPERATORS: Final = ", ".join(Operator)
_SHAPE: Final = (
    'a condition {"field", "operator", "value"}, {"and": [...]}, {"or": [...]}, {"not": ...}, '
    "or a list of conditions"
)


def parse_filter(data: object) -> Filter:
    """Build the tree from decoded JSON. Raises InvalidFilter naming the place and what was expected.

    An integer past 64 bits becomes the nearest float, as orjson reads it in metadata.
    """
    budget = [MAX_FILTER_NODES]
    return _parse(data, "filter", 1, budget)


def parse_filter_json(raw: bytes) -> Filter:
    """Build the tree from its JSON bytes."""
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, got {len(raw)}")
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidFilter(f"the filter is not JSON: {error}") from None
    return parse_filter(data)


def filter_to_json(expression: Filter) -> bytes:
    """Write the tree in the one form that `parse_filter_json` reads back to an equal tree.

    Raises InvalidFilter when that form is longer than `parse_filter_json` takes.
    """
    raw = orjson.dumps(_to_data(expression))
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, this one {len(raw)}")
    return raw


def _parse(data: object, where: str, depth: int, budget: list[int]) -> Filter:
    budget[0] -= 1
    if budget[0] < 0:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_NODES} conditions and groups")
    if depth > MAX_FILTER_DEPTH:
        raise InvalidFilter(f"a filter is at most {MAX_FILTER_DEPTH} levels deep")
    if isinstance(data, list):
        return And(_parse_group(data, where, depth, budget))
    if not isinstance(data, dict):
        raise InvalidFilter(f"{where}: expected {_SHAPE}, got {kind_of(data)}")
    if "field" in data:
        return _parse_condition(data, where)
    if len(data) == 1:
        match data:
            case {"and": children}:
                return And(_parse_group(children, f"{where}.and", depth, budget))
            case {"or": children}:
                return Or(_parse_group(children, f"{where}.or", depth, budget))
            case {"not": child}:
                return Not(_parse(child, f"{where}.not", depth + 1, budget))
    keys = ", ".join(_show(key) for key in sorted(data)[:5]) or "no keys"
    raise InvalidFilter(f"{where}: expected {_SHAPE}, got an object with {keys}")


def _parse_group(data: object, where: str, depth: int, budget: list[int]) -> tuple[Filter, ...]:
    if not isinstance(data, list) or not data:
        raise InvalidFilter(f"{where}: expected a list with at least one condition, got {kind_of(data)}")
    return tuple(_parse(child, f"{where}[{number}]", depth + 1, budget) for number, child in enumerate(data))


def _parse_condition(data: dict[str, Any], where: str) -> Condition:
    if extra := sorted(set(data) - {"field", "operator", "value"}):
        raise InvalidFilter(f"{where}: unknown key {_show(extra[0])}; expected field, operator, value")
    field = data["field"]
    if not isinstance(field, str) or not is_unicode(field) or not all(field.split(".")):
        raise InvalidFilter(f"{where}.field: expected a name, or names joined by '.', got {_show(field)}")
    if "operator" not in data:
        raise InvalidFilter(f"{where}: no operator; expected one of {_OPERATORS}")
    try:
        operator = Operator(data["operator"])
    except ValueError:
        raise InvalidFilter(
            f"{where}.operator: unknown operator {_show(data['operator'])}; expected one of {_OPERATORS}"
        ) from None
    if "value" not in data and operator is not Operator.EXISTS:
        raise InvalidFilter(f"{where}: operator {operator} needs a value")
    value = data.get("value", True)
    return Condition(tuple(field.split(".")), operator, _OPERANDS[operator](value, f"{where}.value"))


def _scalar(value: object, where: str) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    return _orderable(value, where, "text, a finite number, true, false or null")


def _orderable(
    value: object, where: str, expected: str = "a finite number or text to compare with"
) -> Scalar:
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


def _scalars(value: object, where: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidFilter(f"{where}: expected a list with at least one value, got {kind_of(value)}")
    if len(value) > MAX_FILTER_VALUES:
        raise InvalidFilter(f"{where}: at most {MAX_FILTER_VALUES} values, got {len(value)}")
    return tuple(_scalar(item, f"{where}[{number}]") for number, item in enumerate(value))


_OPERANDS: Final[dict[Operator, Callable[[object, str], Scalar | tuple[Scalar, ...]]]] = {
    Operator.EQ: _scalar,
    Operator.NE: _scalar,
    Operator.GT: _orderable,
    Operator.GTE: _orderable,
    Operator.LT: _orderable,
    Operator.LTE: _orderable,
    Operator.IN: _scalars,
    Operator.NOT_IN: _scalars,
    Operator.CONTAINS: _scalar,
    Operator.EXISTS: _flag,
}


def _show(value: object) -> str:
    """A name as the user wrote it, cut to fit a message."""
    return repr(value[:40]) if isinstance(value, str) else kind_of(value)


def _to_data(expression: Filter) -> dict[str, Any]:
    match expression:
        case Condition(path, operator, value):
            return {"field": ".".join(path), "operator": operator.value, "value": value}
        case And(children):
            return {"and": [_to_data(child) for child in children]}
        case Or(children):
            return {"or": [_to_data(child) for child in children]}
        case Not(child):
            return {"not": _to_data(child)}
