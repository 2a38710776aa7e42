"""Evaluate a filter on decoded metadata: the exact meaning that every faster plan must agree with.

docs/filters.md tells that meaning as a table, and a test runs the table. A tree is compiled once
into nested closures. Each operator is written for one value (`evaluation_checks`) and lifted over a
field's arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.field_values import MISSING, reader_of
from hanax.core.filters import And, Condition, Filter, MinShould, Not, Operator, Or, Scalar
from hanax.engine.filters.evaluation_checks import (
    Check,
    compares,
    ends_with,
    equals,
    has_all_words,
    has_count,
    has_the_phrase,
    is_empty,
    is_one_of,
    starts_with,
    within_box,
    within_polygon,
    within_radius,
)

# Of one point: its decoded metadata object and its encoded id.
Predicate = Callable[[dict[str, Any], bytes], bool]

_Read = Callable[[dict[str, Any]], Any]


def compile_filter(expression: Filter) -> Predicate:
    """Return a function that says whether one point's decoded metadata and encoded id match."""
    match expression:
        case Condition(operator=Operator.HAS_ID):
            return _has_id(expression)
        case Condition():
            return _compile_condition(expression)
        case And(children):
            return _all_of([compile_filter(child) for child in children])
        case Or(children):
            return _any_of([compile_filter(child) for child in children])
        case Not(child):
            return _negation(compile_filter(child))
        case MinShould(children, count):
            return _at_least(count, [compile_filter(child) for child in children])


def matching_rows(
    predicate: Predicate, metadata_blobs: Iterable[bytes | memoryview], ids: Iterable[bytes]
) -> NDArray[np.bool_]:
    """Evaluate on each point's JSON object and encoded id, in order: bool[n]."""
    loads = orjson.loads
    pairs = zip(metadata_blobs, ids, strict=True)
    return np.fromiter((predicate(loads(blob), id_) for blob, id_ in pairs), dtype=np.bool_)


def _has_id(condition: Condition) -> Predicate:
    value: Any = condition.value
    wanted = frozenset(value)
    return lambda _, id_: id_ in wanted


def _compile_condition(condition: Condition) -> Predicate:
    read = reader_of(condition.path)
    value: Any = condition.value
    match condition.operator:
        case Operator.NE:
            return _negation(_any_value(read, equals(value)))
        case Operator.NOT_IN:
            return _negation(_any_value(read, is_one_of(value)))
        case Operator.CONTAINS:
            return _contains(read, value)
        case Operator.EXISTS:
            return _whole_value(read, lambda found: (found is not MISSING) is value)
        case Operator.IS_NULL:
            is_null = _any_value(read, equals(None))
            return is_null if value else _negation(is_null)
        case Operator.IS_EMPTY:
            return _whole_value(read, lambda found: is_empty(found) is value)
        case Operator.VALUES_COUNT:
            return _whole_value(read, has_count(value))
        case _:
            return _any_value(read, _check_of(condition.operator, value))


def _check_of(operator: Operator, value: Any) -> Check:
    """Of an operator that holds when one value makes it hold."""
    match operator:
        case Operator.EQ:
            return equals(value)
        case Operator.IN:
            return is_one_of(value)
        case Operator.STARTS_WITH:
            return starts_with(value)
        case Operator.ENDS_WITH:
            return ends_with(value)
        case Operator.TEXT:
            return has_all_words(value)
        case Operator.PHRASE:
            return has_the_phrase(value)
        case Operator.GEO_RADIUS:
            return within_radius(value)
        case Operator.GEO_BOX:
            return within_box(value)
        case Operator.GEO_POLYGON:
            return within_polygon(value)
        case _:
            return compares(operator, value)


def _any_value(read: _Read, check: Check) -> Predicate:
    def matches(metadata: dict[str, Any], _: bytes) -> bool:
        value = read(metadata)
        if type(value) is list:
            return any(map(check, value))
        return check(value)

    return matches


def _whole_value(read: _Read, check: Check) -> Predicate:
    return lambda metadata, _: check(read(metadata))


def _contains(read: _Read, wanted: Scalar) -> Predicate:
    equal = equals(wanted)
    part = wanted if isinstance(wanted, str) else None

    def matches(metadata: dict[str, Any], _: bytes) -> bool:
        value = read(metadata)
        if type(value) is list:
            return any(map(equal, value))
        return part is not None and type(value) is str and part in value

    return matches


# Loops, because a generator costs as much as a condition.


def _all_of(predicates: list[Predicate]) -> Predicate:
    def matches(metadata: dict[str, Any], id_: bytes) -> bool:
        for predicate in predicates:  # noqa: SIM110
            if not predicate(metadata, id_):
                return False
        return True

    return matches


def _any_of(predicates: list[Predicate]) -> Predicate:
    def matches(metadata: dict[str, Any], id_: bytes) -> bool:
        for predicate in predicates:  # noqa: SIM110
            if predicate(metadata, id_):
                return True
        return False

    return matches


def _at_least(count: int, predicates: list[Predicate]) -> Predicate:
    def matches(metadata: dict[str, Any], id_: bytes) -> bool:
        return sum(predicate(metadata, id_) for predicate in predicates) >= count

    return matches


def _negation(predicate: Predicate) -> Predicate:
    return lambda metadata, id_: not predicate(metadata, id_)
