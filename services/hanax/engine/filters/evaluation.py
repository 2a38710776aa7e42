"""Evaluate a filter on decoded metadata: the exact meaning that every faster plan must agree with.

docs/filters.md tells that meaning as a table, and a test runs the table. A tree is compiled once
into nested closures. Each operator is written for one value (`_Check`) and lifted over a
field's arrays. Python compares integers with floats exactly and strings by code point, which is
what the table asks; its one trap is `True == 1`, so every check on numbers looks at the type.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.filters import And, Condition, Filter, Not, Operator, Or, Scalar

Predicate = Callable[[dict[str, Any]], bool]

# One value of a field, never its array. Arrays and objects inside arrays, objects, and _MISSING
# come here too and must be answered False.
_Check = Callable[[Any], bool]


class _Missing:
    """The value of a field that is not there. Equal to nothing and not of a JSON type."""


_MISSING: Final = _Missing()

_COMPARE: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
}


def compile_filter(expression: Filter) -> Predicate:
    """Return a function that says whether one point's decoded metadata object matches."""
    match expression:
        case Condition():
            return _compile_condition(expression)
        case And(children):
            return _all_of([compile_filter(child) for child in children])
        case Or(children):
            return _any_of([compile_filter(child) for child in children])
        case Not(child):
            return _negation(compile_filter(child))


def matching_rows(predicate: Predicate, metadata_blobs: Iterable[bytes | memoryview]) -> NDArray[np.bool_]:
    """Evaluate on each point's JSON object, in order: bool[n]."""
    loads = orjson.loads
    return np.fromiter((predicate(loads(blob)) for blob in metadata_blobs), dtype=np.bool_)


def _compile_condition(condition: Condition) -> Predicate:
    read = _reader(condition.path)
    value: Any = condition.value
    match condition.operator:
        case Operator.EQ:
            return _any_value(read, _equals(value))
        case Operator.NE:
            return _negation(_any_value(read, _equals(value)))
        case Operator.IN:
            return _any_value(read, _is_one_of(value))
        case Operator.NOT_IN:
            return _negation(_any_value(read, _is_one_of(value)))
        case Operator.CONTAINS:
            return _contains(read, value)
        case Operator.EXISTS:
            return _exists(read, value)
        case Operator.GT | Operator.GTE | Operator.LT | Operator.LTE:
            return _any_value(read, _compares(_COMPARE[condition.operator], value))


def _reader(path: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    """Find the field's value. A top-level key that is spelt like the whole path comes first."""
    whole = ".".join(path)
    if len(path) == 1:
        return lambda metadata: metadata.get(whole, _MISSING)

    def read(metadata: dict[str, Any]) -> Any:
        if whole in metadata:
            return metadata[whole]
        value: Any = metadata
        for name in path:
            if type(value) is not dict or name not in value:
                return _MISSING
            value = value[name]
        return value

    return read


def _any_value(read: Callable[[dict[str, Any]], Any], check: _Check) -> Predicate:
    def matches(metadata: dict[str, Any]) -> bool:
        value = read(metadata)
        if type(value) is list:
            return any(map(check, value))
        return check(value)

    return matches


def _contains(read: Callable[[dict[str, Any]], Any], wanted: Scalar) -> Predicate:
    equals = _equals(wanted)
    part = wanted if isinstance(wanted, str) else None

    def matches(metadata: dict[str, Any]) -> bool:
        value = read(metadata)
        if type(value) is list:
            return any(map(equals, value))
        return part is not None and type(value) is str and part in value

    return matches


def _exists(read: Callable[[dict[str, Any]], Any], wanted: bool) -> Predicate:
    return lambda metadata: (read(metadata) is not _MISSING) is wanted


def _equals(wanted: Scalar) -> _Check:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: wanted == value
    return lambda value: wanted == value and type(value) is not bool


def _is_one_of(wanted: tuple[Scalar, ...]) -> _Check:
    # Apart, because a set holds True and 1 for the same.
    flags = frozenset(item for item in wanted if isinstance(item, bool))
    others = frozenset(item for item in wanted if not isinstance(item, bool))

    def check(value: Any) -> bool:
        kind = type(value)
        if kind is bool:
            return value in flags
        return kind is not dict and kind is not list and value in others

    return check


def _compares(compare: Callable[[Any, Any], bool], bound: Scalar) -> _Check:
    if isinstance(bound, str):
        return lambda value: type(value) is str and compare(value, bound)

    def check(value: Any) -> bool:
        kind = type(value)
        return (kind is int or kind is float) and compare(value, bound)

    return check


# Loops, because a generator costs as much as a condition.


def _all_of(predicates: list[Predicate]) -> Predicate:
    def matches(metadata: dict[str, Any]) -> bool:
        for predicate in predicates:  # noqa: SIM110
            if not predicate(metadata):
                return False
        return True

    return matches


def _any_of(predicates: list[Predicate]) -> Predicate:
    def matches(metadata: dict[str, Any]) -> bool:
        for predicate in predicates:  # noqa: SIM110
            if predicate(metadata):
                return True
        return False

    return matches


def _negation(predicate: Predicate) -> Predicate:
    return lambda metadata: not predicate(metadata)
