"""The filter parser: trees of conditions, and what it says of bad ones. Operands are tested apart."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidFilter
from hanax.core.filter_parsing import filter_to_json, parse_filter, parse_filter_json
from hanax.core.filters import And, Condition, MinShould, Not, Operator, Or
from hanax.core.ids import encode_id
from hanax.core.limits import (
    MAX_FILTER_BYTES,
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
)

X_IS_1 = {"field": "x", "operator": "eq", "value": 1}


def eq(field: str, value: Any) -> Condition:
    return Condition(tuple(field.split(".")), Operator.EQ, value)


def nested(levels: int) -> Any:
    data: Any = X_IS_1
    for _ in range(levels - 1):
        data = {"not": data}
    return data


@pytest.mark.parametrize(
    ("data", "tree"),
    [
        (X_IS_1, eq("x", 1)),
        ({"field": "a.b", "operator": "eq", "value": None}, eq("a.b", None)),
        ({"field": "a", "operator": "exists"}, Condition(("a",), Operator.EXISTS, True)),
        (
            {"field": "a", "operator": "exists", "value": False},
            Condition(("a",), Operator.EXISTS, False),
        ),
        (
            {"field": "a", "operator": "in", "value": [1, "b", None, True]},
            Condition(("a",), Operator.IN, (1, "b", None, True)),
        ),
        ([X_IS_1, X_IS_1], And((eq("x", 1), eq("x", 1)))),
        ({"and": [X_IS_1]}, And((eq("x", 1),))),
        ({"or": [X_IS_1, {"not": X_IS_1}]}, Or((eq("x", 1), Not(eq("x", 1))))),
        ({"not": [X_IS_1]}, Not(And((eq("x", 1),)))),
        (
            {"min_should": {"conditions": [X_IS_1, {"has_id": [7]}], "count": 2}},
            MinShould((eq("x", 1), Condition((), Operator.HAS_ID, (encode_id(7),))), 2),
        ),
        (
            {"operator": "has_id", "value": [7, "a"]},
            Condition((), Operator.HAS_ID, (encode_id(7), encode_id("a"))),
        ),
    ],
)
def test_tree(data: Any, tree: Any) -> None:
    assert parse_filter(data) == tree


def test_an_integer_past_64_bits_is_read_as_orjson_reads_it() -> None:
    from_python = parse_filter({"field": "x", "operator": "eq", "value": 2**64 + 1})
    from_json = parse_filter_json(b'{"field": "x", "operator": "eq", "value": 18446744073709551617}')
    assert repr(from_python) == repr(from_json) == repr(eq("x", 2.0**64))
    exact = parse_filter({"field": "x", "operator": "in", "value": [2**64 - 1, -(2**63)]})
    assert exact == Condition(("x",), Operator.IN, (2**64 - 1, -(2**63)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "filter: expected a condition .* or a list of conditions, got null"),
        (True, "filter: expected a condition .* got true"),
        (7, "filter: expected a condition .* got the number 7"),
        ("x = 1", "filter: expected a condition .* got text"),
        ({}, "filter: expected a condition .* got an object with no keys"),
        ({"and": [X_IS_1], "or": [X_IS_1]}, "got an object with 'and', 'or'"),
        ({"and": [X_IS_1], "year": 1}, "got an object with 'and', 'year'"),
        ({"has_id": [1], "k" * 500: 1}, "got an object with 'has_id', 'k{40}'$"),
        ([], "filter: expected a list with at least one condition, got an empty list"),
        ({"and": []}, "filter.and: expected a list with at least one condition, got an empty list"),
        ({"or": X_IS_1}, "filter.or: expected a list with at least one condition, got an object"),
        ({"or": [X_IS_1, 3]}, r"filter.or\[1\]: expected a condition .* got the number 3"),
        ({"not": {"and": [{}]}}, r"filter.not.and\[0\]: .* got an object with no keys"),
        ([[X_IS_1], None], r"filter\[1\]: .* got null"),
        ({**X_IS_1, "values": 1}, "filter: unknown key 'values'; expected field, operator, value"),
        ({**X_IS_1, "and": []}, "filter: unknown key 'and'"),
        ({**X_IS_1, "field": ""}, "filter.field: expected a name, or names joined by '.', got ''"),
        ({**X_IS_1, "field": "a..b"}, "filter.field: .* got 'a..b'"),
        ({**X_IS_1, "field": ".a"}, "filter.field: .* got '.a'"),
        ({**X_IS_1, "field": ["a"]}, "filter.field: .* got a list"),
        ({**X_IS_1, "field": "\ud800"}, "filter.field: "),
        ({"field": "x", "value": 1}, "filter: no operator; expected one of eq, ne, gt"),
        (
            {**X_IS_1, "operator": "=="},
            "filter.operator: unknown operator '=='; expected one of eq",
        ),
        ({**X_IS_1, "operator": "EQ"}, "filter.operator: unknown operator 'EQ'"),
        ({**X_IS_1, "operator": ["eq"]}, "filter.operator: unknown operator a list"),
        ({**X_IS_1, "operator": {}}, "filter.operator: unknown operator an object"),
        ({"field": "x", "operator": "eq"}, "filter: operator eq needs a value"),
        ({"value": 1, "operator": "eq"}, "filter: operator eq needs a field"),
        ({"value": [1]}, "filter.value: expected a value, or an object of operators"),
        ({"field": "x", "operator": "has_id", "value": [1]}, "filter.field: operator has_id .* no field"),
        ({"operator": "has_id"}, "filter: operator has_id needs a value"),
        ({"min_should": [X_IS_1]}, 'filter.min_should: expected an object {"conditions".* got a list'),
        ({"min_should": {}}, "filter.min_should: expected an object .* got an object"),
        ({"min_should": {"conditions": [X_IS_1]}}, "filter.min_should: .* got one with other keys"),
        ({"min_should": {"conditions": [X_IS_1], "count": 1, "x": 1}}, "got one with other keys"),
        ({"min_should": {"conditions": [], "count": 1}}, "filter.min_should.conditions: .* an empty list"),
        ({"min_should": {"conditions": [3], "count": 1}}, r"filter.min_should.conditions\[0\]: .* number 3"),
        *(
            (
                {"min_should": {"conditions": [X_IS_1, X_IS_1], "count": count}},
                "filter.min_should.count: expected a whole number from 1 to 2, got",
            )
            for count in (0, 3, -1, True, 1.0, "1", None, 10**5000)
        ),
    ],
)
def test_bad_input_is_named(data: Any, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message) as caught:
        parse_filter(data)
    assert caught.value.code == "invalid_filter"


@pytest.mark.parametrize("raw", [b"", b"{", b"nul", b"{'field': 1}", b"\xff", b"[" * 5_000, b"1e999"])
def test_bad_json_is_named(raw: bytes) -> None:
    with pytest.raises(InvalidFilter, match="the filter is not JSON"):
        parse_filter_json(raw)


def test_depth_is_bounded() -> None:
    parse_filter(nested(MAX_FILTER_DEPTH))
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_DEPTH} levels deep"):
        parse_filter(nested(MAX_FILTER_DEPTH + 1))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidFilter, match="levels deep"):
        parse_filter(endless)


def test_nodes_are_bounded_over_the_whole_tree() -> None:
    half = {"and": [X_IS_1] * (MAX_FILTER_NODES // 2 - 1)}
    parse_filter({"or": [half, {"and": [X_IS_1] * (MAX_FILTER_NODES // 2 - 2)}]})
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_NODES} conditions and groups"):
        parse_filter({"or": [half, half]})


def test_bytes_are_bounded_when_read_and_when_written() -> None:
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_BYTES} bytes"):
        parse_filter_json(b" " * MAX_FILTER_BYTES + b"{}")
    long = parse_filter({"field": "x", "operator": "eq", "value": "v" * MAX_FILTER_BYTES})
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_BYTES} bytes"):
        filter_to_json(long)


def test_written_form() -> None:
    tree = And(
        (
            eq("a.b", 1.0),
            Not(Or((Condition(("c",), Operator.IN, (None, True, "é")),))),
            MinShould((Condition((), Operator.HAS_ID, (encode_id(7), encode_id("7"))),), 1),
        )
    )
    assert (
        filter_to_json(tree)
        == (
            '{"and":[{"field":"a.b","operator":"eq","value":1.0},'
            '{"not":{"or":[{"field":"c","operator":"in","value":[null,true,"é"]}]}},'
            '{"min_should":{"conditions":[{"has_id":[7,"7"]}],"count":1}}]}'
        ).encode()
    )
