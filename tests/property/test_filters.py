"""Filters: evaluation against a naive oracle, the written form, and De Morgan."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanax.core.errors import InvalidFilter
from hanax.core.filter_parsing import filter_to_json, parse_filter, parse_filter_json
from hanax.core.filters import (
    And,
    Condition,
    Filter,
    MinShould,
    Not,
    Operator,
    Or,
)
from hanax.core.limits import MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_NODES
from hanax.engine.filters.evaluation import compile_filter, matching_rows
from tests.property.filter_oracle import oracle
from tests.property.strategies import (
    expressions,
    field_conditions,
    ids,
    matches_by_kind,
    metadata,
    near_filters,
    paths,
    scalars,
    values,
)

SCALE = float(os.environ.get("HANAX_TEST_SCALE", "1"))
# No deadlines: how long an example takes says nothing about what filters mean.
many = settings(max_examples=max(1, round(200 * SCALE)), deadline=None)
few = settings(deadline=None)


@many
@given(expressions, metadata, ids)
def test_evaluation_equals_the_oracle(expression: Filter, document: dict[str, Any], id_: bytes) -> None:
    assert compile_filter(expression)(document, id_) is oracle(expression, document, id_)


@many
@given(field_conditions, values, metadata, ids)
def test_a_condition_on_its_own_field_equals_the_oracle(
    condition: Condition, value: Any, document: dict[str, Any], id_: bytes
) -> None:
    document[condition.path[0]] = value
    document[".".join(condition.path)] = value
    assert compile_filter(condition)(document, id_) is oracle(condition, document, id_)


@many
@given(matches_by_kind())
def test_places_words_and_dates_equal_the_oracle(drawn: tuple[Condition, Any]) -> None:
    condition, value = drawn
    assert compile_filter(condition)({"a": value}, b"") is oracle(condition, {"a": value}, b"")


@few
@given(expressions, st.lists(st.tuples(metadata, ids), max_size=5))
def test_rows_of_stored_bytes_equal_the_oracle(
    expression: Filter, points: list[tuple[dict[str, Any], bytes]]
) -> None:
    blobs = [orjson.dumps(document) for document, _ in points]
    found = matching_rows(compile_filter(expression), blobs, [id_ for _, id_ in points])
    assert found.tolist() == [oracle(expression, document, id_) for document, id_ in points]


@few
@given(expressions)
def test_the_written_form_reads_back_to_the_same_tree(expression: Filter) -> None:
    again = parse_filter_json(filter_to_json(expression))
    assert again == expression
    assert repr(again) == repr(expression)  # 1, 1.0 and True are equal, and not the same


def as_mongo(expression: Filter) -> Any:
    match expression:
        case Condition(path, operator, _) if path:
            written = orjson.loads(filter_to_json(expression))
            return {".".join(path): {f"${operator}": written["value"]}}
        case And(children):
            return {"$and": [as_mongo(child) for child in children]}
        case Or(children):
            return {"$or": [as_mongo(child) for child in children]}
        case Not(Or(children)):
            return {"$nor": [as_mongo(child) for child in children]}
        case Not(Condition(path)) if path:
            ((field, asked),) = as_mongo(expression.child).items()
            return {field: {"$not": asked}}
        case Not(child):
            return {"$not": as_mongo(child)}
        case MinShould(children, count):
            return {"min_should": {"conditions": [as_mongo(child) for child in children], "count": count}}
        case _:
            return orjson.loads(filter_to_json(expression))


@few
@given(expressions)
def test_the_mongo_form_becomes_the_same_tree(expression: Filter) -> None:
    assert repr(parse_filter(as_mongo(expression))) == repr(expression)


@few
@given(st.dictionaries(paths, scalars, min_size=2, max_size=4))
def test_fields_beside_one_another_become_one_conjunction(wanted: dict[tuple[str, ...], Any]) -> None:
    together = And(tuple(Condition(path, Operator.EQ, value) for path, value in wanted.items()))
    assert repr(parse_filter({".".join(path): value for path, value in wanted.items()})) == repr(together)


@few
@given(st.lists(expressions, min_size=1, max_size=3))
def test_a_list_becomes_one_conjunction(children: list[Filter]) -> None:
    written = [orjson.loads(filter_to_json(child)) for child in children]
    assert repr(parse_filter(written)) == repr(And(tuple(children)))


@few
@given(st.lists(expressions, min_size=1, max_size=3).map(tuple), metadata, ids)
def test_de_morgan(children: tuple[Filter, ...], document: dict[str, Any], id_: bytes) -> None:
    def holds_for_it(expression: Filter) -> bool:
        return compile_filter(expression)(document, id_)

    negated = tuple(Not(child) for child in children)
    assert holds_for_it(Not(And(children))) is holds_for_it(Or(negated))
    assert holds_for_it(Not(Or(children))) is holds_for_it(And(negated))
    assert holds_for_it(MinShould(children, 1)) is holds_for_it(Or(children))
    assert holds_for_it(MinShould(children, len(children))) is holds_for_it(And(children))


def size_of(expression: Filter) -> tuple[int, int]:
    """Levels and nodes."""
    match expression:
        case And(children) | Or(children) | MinShould(children):
            sizes = [size_of(child) for child in children]
        case Not(child):
            sizes = [size_of(child)]
        case Condition():
            sizes = []
    return 1 + max([levels for levels, _ in sizes], default=0), 1 + sum(nodes for _, nodes in sizes)


@many
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
@example({"a": {"$gt": float("inf")}})
@example({"a": {"$not": {"$not": {}}}})
@example({"has_id": [10**5000, True]})
@example(
    {"field": "a", "operator": "geo_box", "value": dict.fromkeys(["top", "left", "bottom", "right"], 1e400)}
)
@example({"field": "a", "operator": "values_count", "value": {"gt": 10**5000}})
@example({"field": "a", "operator": "text", "value": "\ufdfa" * 64})
@example({"min_should": {"conditions": [{}], "count": 10**5000}})
def test_any_json_is_a_filter_or_is_refused_by_name(data: Any) -> None:
    message = ""
    try:
        expression = parse_filter(data)
    except InvalidFilter as error:
        message = error.message
    else:
        levels, nodes = size_of(expression)
        assert levels <= MAX_FILTER_DEPTH
        assert nodes <= MAX_FILTER_NODES
        written = filter_to_json(expression)
        assert len(written) <= MAX_FILTER_BYTES
        assert repr(parse_filter_json(written)) == repr(expression)
        compile_filter(expression)({"a": {"b": 1}}, b"\x03a")
    assert len(message.encode()) < 1_000  # and it can be sent


@few
@given(st.binary(max_size=40) | near_filters.map(repr).map(str.encode))
@example(b"[" * 100_000)
@example(b"[" * 100 + b"]" * 100)
@example(b'{"not":' * 1_000)
@example(b'{"a":' + b'{"$not":' * 1_000 + b"1" + b"}" * 1_001)
@example(b'{"$or":[' * 500 + b"]}" * 500)
@example(b'{"field":"a","operator":"eq","value":1e999}')
@example(b'\xff{"field":"a","operator":"eq","value":1}')
def test_any_bytes_are_a_filter_or_are_refused_by_name(raw: bytes) -> None:
    with contextlib.suppress(InvalidFilter):
        parse_filter_json(raw)
