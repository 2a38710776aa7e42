"""Filters: evaluation against a naive oracle, the written form, and De Morgan."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from hanax.core.errors import InvalidFilter
from hanax.core.filters import (
    And,
    Condition,
    Filter,
    Not,
    Operator,
    Or,
    filter_to_json,
    parse_filter,
    parse_filter_json,
)
from hanax.engine.filters.evaluation import compile_filter, matching_rows
from tests.property.strategies import conditions, expressions, metadata, near_filters, values


def oracle(expression: Filter, document: dict[str, Any]) -> bool:
    """docs/filters.md read word by word, by ranks and exact decimals in place of Python's ==."""
    match expression:
        case And(children):
            return False not in [oracle(child, document) for child in children]
        case Or(children):
            return True in [oracle(child, document) for child in children]
        case Not(child):
            return not oracle(child, document)
        case Condition(path, Operator.NE, value):
            return not oracle(Condition(path, Operator.EQ, value), document)
        case Condition(path, Operator.NOT_IN, value):
            return not oracle(Condition(path, Operator.IN, value), document)
        case Condition(path, Operator.EXISTS, value):
            return bool(field_values(path, document)) == value
        case Condition(path, operator, value):
            found = field_values(path, document)
            if not found:
                return False
            elements = found[0] if isinstance(found[0], list) else found
            if operator is Operator.CONTAINS and isinstance(found[0], str):
                return isinstance(value, str) and found[0].find(value) >= 0
            if operator is Operator.CONTAINS and not isinstance(found[0], list):
                return False
            wanted = value if isinstance(value, tuple) else (value,)
            return any(holds(operator, element, item) for element in elements for item in wanted)


def field_values(path: tuple[str, ...], document: dict[str, Any]) -> list[Any]:
    """The field's value in a list, or an empty list where it is missing."""
    if ".".join(path) in document:
        return [document[".".join(path)]]
    here: list[Any] = [document]
    for name in path:
        here = [item[name] for item in here if isinstance(item, dict) and name in item]
    return here


def rank(value: Any) -> tuple[str, Any] | None:
    """A kind, and a key that orders and identifies values of that kind; None for a container."""
    match value:
        case None:
            return ("null", 0)
        case bool():
            return ("flag", str(value))
        case int() | float():
            return ("number", Decimal(value))
        case str():
            return ("text", [ord(character) for character in value])
        case _:
            return None


def holds(operator: Operator, element: Any, wanted: Any) -> bool:
    left, right = rank(element), rank(wanted)
    if left is None or right is None or left[0] != right[0]:
        return False
    match operator:
        case Operator.EQ | Operator.IN | Operator.CONTAINS:
            return bool(left[1] == right[1])
        case Operator.GT:
            return bool(left[1] > right[1])
        case Operator.GTE:
            return not left[1] < right[1]
        case Operator.LT:
            return bool(left[1] < right[1])
        case _:
            return not left[1] > right[1]


@given(expressions, metadata)
def test_evaluation_equals_the_oracle(expression: Filter, document: dict[str, Any]) -> None:
    assert compile_filter(expression)(document) is oracle(expression, document)


@given(conditions, values, metadata)
def test_a_condition_on_its_own_field_equals_the_oracle(
    condition: Condition, value: Any, document: dict[str, Any]
) -> None:
    document[condition.path[0]] = value
    document[".".join(condition.path)] = value
    assert compile_filter(condition)(document) is oracle(condition, document)


@given(expressions, st.lists(metadata, max_size=5))
def test_rows_of_stored_bytes_equal_the_oracle(expression: Filter, documents: list[dict[str, Any]]) -> None:
    blobs = [orjson.dumps(document) for document in documents]
    found = matching_rows(compile_filter(expression), blobs)
    assert found.tolist() == [oracle(expression, document) for document in documents]


@given(expressions)
def test_the_written_form_reads_back_to_the_same_tree(expression: Filter) -> None:
    again = parse_filter_json(filter_to_json(expression))
    assert again == expression
    assert repr(again) == repr(expression)  # 1, 1.0 and True are equal, and not the same


@given(st.lists(expressions, min_size=1, max_size=3).map(tuple), metadata)
def test_de_morgan(children: tuple[Filter, ...], document: dict[str, Any]) -> None:
    negated = tuple(Not(child) for child in children)
    assert compile_filter(Not(And(children)))(document) is compile_filter(Or(negated))(document)
    assert compile_filter(Not(Or(children)))(document) is compile_filter(And(negated))(document)


@given(near_filters)
@example(10**5000)
@example({"field": "a", "operator": "eq", "value": 10**5000})
@example({"field": "a", "operator": "eq", "value": float("nan")})
@example({"field": 10**5000, "operator": "eq", "value": 1})
@example({"field": "a", "operator": 10**5000, "value": 1})
@example({"field": "\ud800", "operator": "eq", "value": 1})
@example({"field": "a", "operator": "eq", "value": "\ud800"})
@example({"field": "a", "operator": "in", "value": [2**64, -(2**64)]})
@example({"\ud800": 1})
def test_any_json_is_a_filter_or_is_refused_by_name(data: Any) -> None:
    message = ""
    try:
        expression = parse_filter(data)
    except InvalidFilter as error:
        message = error.message
    else:
        assert repr(parse_filter_json(filter_to_json(expression))) == repr(expression)
        compile_filter(expression)({"a": {"b": 1}})
    assert len(message.encode()) < 1_000  # and it can be sent


@given(st.binary(max_size=40) | near_filters.map(repr).map(str.encode))
@example(b"[" * 100_000)
@example(b"[" * 100 + b"]" * 100)
@example(b'{"not":' * 1_000)
@example(b'{"field":"a","operator":"eq","value":1e999}')
@example(b'\xff{"field":"a","operator":"eq","value":1}')
def test_any_bytes_are_a_filter_or_are_refused_by_name(raw: bytes) -> None:
    with contextlib.suppress(InvalidFilter):
        parse_filter_json(raw)
