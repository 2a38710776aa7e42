"""The Mongo form: the tree it becomes, and what is said of what is none."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidFilter
from hanax.core.filter_parsing import parse_filter
from hanax.core.filters import And, Condition, Not, Operator, Or, Range
from hanax.core.limits import MAX_FILTER_DEPTH, MAX_FILTER_NODES


def is_(field: str, operator: str, value: Any) -> Condition:
    return Condition(tuple(field.split(".")), Operator(operator), value)


X, Y = is_("x", "eq", 1), is_("y", "eq", 2)


@pytest.mark.parametrize(
    ("data", "tree"),
    [
        ({"x": 1}, X),
        ({"a.b": None}, is_("a.b", "eq", None)),
        ({"x": 1, "y": 2}, And((X, Y))),
        ({"year": {"$gte": 2020}}, is_("year", "gte", 2020)),
        ({"year": {"$gte": 2020, "$lt": 2024}}, And((is_("year", "gte", 2020), is_("year", "lt", 2024)))),
        (
            {"x": 1, "year": {"$gt": 2020, "$lte": 2024}, "y": 2},
            And((X, is_("year", "gt", 2020), is_("year", "lte", 2024), Y)),
        ),
        ({"x": {"$eq": 1}}, X),
        ({"x": {"$ne": 1}}, is_("x", "ne", 1)),
        ({"x": {"$in": [1, "a"]}}, is_("x", "in", (1, "a"))),
        ({"x": {"$nin": [1]}}, is_("x", "not_in", (1,))),
        ({"x": {"$exists": False}}, is_("x", "exists", False)),
        ({"x": {"$starts_with": "a"}}, is_("x", "starts_with", "a")),
        ({"x": {"$values_count": {"gte": 2}}}, is_("x", "values_count", Range(gte=2.0))),
        ({"x": {"$not": {"$eq": 1}}}, Not(X)),
        ({"x": {"$not": {"$eq": 1, "$ne": 2}}, "y": 2}, And((Not(And((X, is_("x", "ne", 2)))), Y))),
        ({"x": {"$not": {"$not": {"$eq": 1}}}}, Not(Not(X))),
        ({"$and": [{"x": 1}]}, And((X,))),
        ({"$or": [{"x": 1}, {"y": 2}]}, Or((X, Y))),
        ({"$nor": [{"x": 1}, {"y": 2}]}, Not(Or((X, Y)))),
        ({"$not": {"x": 1, "y": 2}}, Not(And((X, Y)))),
        ({"y": 2, "$or": [{"x": 1}], "$nor": [{"x": 1}]}, And((Y, Or((X,)), Not(Or((X,)))))),
        ({"$or": [{"field": "x", "operator": "eq", "value": 1}, {"and": [{"y": 2}]}]}, Or((X, And((Y,))))),
        ([{"x": 1}, {"not": {"y": 2}}], And((X, Not(Y)))),
        ({"value": 1}, is_("value", "eq", 1)),
        ({"nor": 1}, is_("nor", "eq", 1)),
    ],
)
def test_tree(data: Any, tree: Any) -> None:
    assert parse_filter(data) == tree


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": [1, 2]}, r"filter.x: expected a value, or an object of operators such as \$in, got a list"),
        ({"x": {}}, "filter.x: expected a value, or an object of operators, got an empty object"),
        ({"x": {"name": "Ann"}}, r"filter.x: unknown operator 'name'; expected one of \$eq, \$ne"),
        ({"x": {"$regex": "a"}}, r"filter.x: unknown operator '\$regex'; expected one of .*\$nin, \$not$"),
        ({"x": {"$has_id": [1]}}, r"filter.x: unknown operator '\$has_id'"),
        ({"$where": "1"}, r"filter: unknown operator '\$where'; expected one of \$and, \$or, \$nor, \$not$"),
        ({"$gt": 1}, r"filter: unknown operator '\$gt'"),
        ({"x": {"$gt": 1, "$in": 3}}, r"filter.x.\$in: expected a list .* got the number 3"),
        ({"x": {"$in": [1, {}]}}, r"filter.x.\$in\[1\]: .* got an object"),
        ({"x": {"$not": 1}}, r"filter.x.\$not: expected an object of operators, got the number 1"),
        ({"x": {"$not": {"$gt": None}}}, r"filter.x.\$not.\$gt: expected .* got null"),
        ({"x": {"$not": {"$like": 1}}}, r"filter.x.\$not: unknown operator '\$like'"),
        ({"$or": []}, r"filter.\$or: expected a list with at least one condition, got an empty list"),
        ({"$and": {"x": 1}}, r"filter.\$and: expected a list .* got an object"),
        ({"$nor": 1}, r"filter.\$nor: expected a list .* got the number 1"),
        ({"$nor": [{"x": 1}, 7]}, r"filter.\$nor\[1\]: expected a condition .* got the number 7"),
        ({"$not": []}, r"filter.\$not: expected a list with at least one condition, got an empty list"),
        ({"x": 1, "$or": [{"y": {"$lt": True}}]}, r"filter.\$or\[0\].y.\$lt: .* got true"),
        ({"": 1}, "filter: expected a name, or names joined by '.', got ''"),
        ({"a..b": 1}, "filter: expected a name, or names joined by '.', got 'a..b'"),
        ({"é": float("nan")}, r"filter\['é'\]: .* got the number nan"),
        ({"\ud800": 1}, "filter: expected a name"),
    ],
)
def test_bad_input_is_named(data: Any, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        parse_filter(data)


def nested(data: Any, key: str, levels: int) -> Any:
    for _ in range(levels):
        data = {key: data}
    return data


@pytest.mark.parametrize("levels", [MAX_FILTER_DEPTH, 100_000])
def test_depth_is_bounded(levels: int) -> None:
    parse_filter({"x": nested({"$eq": 1}, "$not", MAX_FILTER_DEPTH - 1)})
    parse_filter(nested({"x": 1}, "$not", MAX_FILTER_DEPTH - 1))
    for data in ({"x": nested({"$eq": 1}, "$not", levels)}, nested({"x": 1}, "$not", levels)):
        with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_DEPTH} levels deep"):
            parse_filter(data)


def test_nodes_are_bounded_over_the_whole_tree() -> None:
    parse_filter({f"x{number}": 1 for number in range(MAX_FILTER_NODES - 1)})
    with pytest.raises(InvalidFilter, match=f"at most {MAX_FILTER_NODES} conditions and groups"):
        parse_filter({f"x{number}": 1 for number in range(MAX_FILTER_NODES)})
    pair = {"x": {"$gt": 1, "$lt": 3}}
    with pytest.raises(InvalidFilter, match="conditions and groups"):
        parse_filter({"$nor": [pair] * (MAX_FILTER_NODES // 3)})
