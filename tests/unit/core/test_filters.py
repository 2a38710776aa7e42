"""The filter parser: what it takes, and what it says of every kind of bad input."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidFilter
from hanax.core.filters import (
    And,
    Condition,
    Not,
    Operator,
    Or,
    filter_to_json,
    parse_filter,
    parse_filter_json,
)
from hanax.core.limits import (
    MAX_FILTER_BYTES,
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    MAX_FILTER_VALUES,
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
        ({"nor": []}, "filter: expected a condition .* got an object with 'nor'"),
        ({"and": [X_IS_1], "or": [X_IS_1]}, "got an object with 'and', 'or'"),
        ({"k" * 500: 1}, "got an object with 'k{40}'$"),
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
        ({**X_IS_1, "value": [1]}, "filter.value: expected text, a finite number, .* got a list"),
        ({**X_IS_1, "value": {}}, "filter.value: expected text, a finite number, .* got an object"),
        ({**X_IS_1, "value": float("nan")}, "filter.value: .* got the number nan"),
        ({**X_IS_1, "value": float("inf")}, "filter.value: .* got the number inf"),
        ({**X_IS_1, "value": 10**400}, "filter.value: .* got an integer past 64 bits"),
        ({**X_IS_1, "value": "\ud800"}, "filter.value: .* got text that is not valid Unicode"),
        ({**X_IS_1, "operator": "gt", "value": True}, "filter.value: .* to compare with, got true"),
        (
            {**X_IS_1, "operator": "lte", "value": None},
            "filter.value: .* to compare with, got null",
        ),
        (
            {**X_IS_1, "operator": "gte", "value": [1]},
            "filter.value: .* to compare with, got a list",
        ),
        ({**X_IS_1, "operator": "in"}, "filter.value: expected a list with .* got the number 1"),
        ({**X_IS_1, "operator": "in", "value": []}, "filter.value: .* got an empty list"),
        (
            {**X_IS_1, "operator": "not_in", "value": "ab"},
            "filter.value: expected a list .* got text",
        ),
        ({**X_IS_1, "operator": "in", "value": [1, [2]]}, r"filter.value\[1\]: .* got a list"),
        ({**X_IS_1, "operator": "contains", "value": ["a"]}, "filter.value: .* got a list"),
        (
            {**X_IS_1, "operator": "exists"},
            "filter.value: expected true or false, got the number 1",
        ),
        ({**X_IS_1, "operator": "exists", "value": None}, "filter.value: expected true or false"),
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


def test_values_are_bounded() -> None:
    parse_filter({"field": "x", "operator": "in", "value": list(range(MAX_FILTER_VALUES))})
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_VALUES} values, got"):
        parse_filter({"field": "x", "operator": "in", "value": list(range(MAX_FILTER_VALUES + 1))})


def test_bytes_are_bounded_when_read_and_when_written() -> None:
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_BYTES} bytes"):
        parse_filter_json(b" " * MAX_FILTER_BYTES + b"{}")
    long = parse_filter({"field": "x", "operator": "eq", "value": "v" * MAX_FILTER_BYTES})
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_BYTES} bytes"):
        filter_to_json(long)


def test_written_form() -> None:
    tree = And((eq("a.b", 1.0), Not(Or((Condition(("c",), Operator.IN, (None, True, "é")),)))))
    assert (
        filter_to_json(tree)
        == (
            '{"and":[{"field":"a.b","operator":"eq","value":1.0},'
            '{"not":{"or":[{"field":"c","operator":"in","value":[null,true,"é"]}]}}]}'
        ).encode()
    )
