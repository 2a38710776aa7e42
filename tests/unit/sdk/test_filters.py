"""Expressions make filters that the server reads as what they say."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.filter_parsing import parse_filter
from hxp_vector_client import Field, at_least, has_id
from hxp_vector_client.errors import InvalidFilter
from hxp_vector_client.filters import Condition, filter_json

_YEAR = Field("year")

_TABLE: list[tuple[Condition, Any]] = [
    (_YEAR == 2020, {"field": "year", "operator": "eq", "value": 2020}),
    (_YEAR != None, {"field": "year", "operator": "ne", "value": None}),  # noqa: E711
    (_YEAR > 1, {"field": "year", "operator": "gt", "value": 1}),
    (_YEAR >= 1, {"field": "year", "operator": "gte", "value": 1}),
    (_YEAR < "2024-01-01", {"field": "year", "operator": "lt", "value": "2024-01-01"}),
    (_YEAR <= 1.5, {"field": "year", "operator": "lte", "value": 1.5}),
    (_YEAR.is_in((1, "a")), {"field": "year", "operator": "in", "value": [1, "a"]}),
    (_YEAR.not_in([True]), {"field": "year", "operator": "not_in", "value": [True]}),
    (_YEAR.contains("x"), {"field": "year", "operator": "contains", "value": "x"}),
    (_YEAR.starts_with("x"), {"field": "year", "operator": "starts_with", "value": "x"}),
    (_YEAR.ends_with("x"), {"field": "year", "operator": "ends_with", "value": "x"}),
    (_YEAR.exists(False), {"field": "year", "operator": "exists", "value": False}),
    (_YEAR.is_null(), {"field": "year", "operator": "is_null", "value": True}),
    (_YEAR.is_empty(), {"field": "year", "operator": "is_empty", "value": True}),
    (_YEAR.values_count(gte=2), {"field": "year", "operator": "values_count", "value": {"gte": 2}}),
    (_YEAR.text("a b*"), {"field": "year", "operator": "text", "value": "a b*"}),
    (_YEAR.phrase("a b"), {"field": "year", "operator": "phrase", "value": "a b"}),
    (
        _YEAR.within((52.5, 13.4), 5_000),
        {
            "field": "year",
            "operator": "geo_radius",
            "value": {"center": {"lat": 52.5, "lon": 13.4}, "metres": 5_000},
        },
    ),
    (
        _YEAR.in_box(top=53, left=13, bottom=52, right=14),
        {
            "field": "year",
            "operator": "geo_box",
            "value": {"top": 53, "left": 13, "bottom": 52, "right": 14},
        },
    ),
    (
        _YEAR.in_polygon([(52, 13), (53, 13), (53, 14)]),
        {
            "field": "year",
            "operator": "geo_polygon",
            "value": {"exterior": [{"lat": 52, "lon": 13}, {"lat": 53, "lon": 13}, {"lat": 53, "lon": 14}]},
        },
    ),
    (has_id([1, "a"]), {"has_id": [1, "a"]}),
    (at_least(1, [_YEAR == 1, {"a": 2}]), None),
]


@pytest.mark.parametrize(("condition", "json"), _TABLE)
def test_a_condition_is_the_json_that_the_server_reads(condition: Condition, json: Any) -> None:
    parse_filter(condition.to_json())
    if json is not None:
        assert condition.to_json() == json
        assert parse_filter(condition.to_json()) == parse_filter(json)


def test_conditions_are_joined() -> None:
    one, two, three = Field("a") == 1, Field("b") == 2, Field("c") == 3
    assert (one & two & three).to_json() == {"and": [one.to_json(), two.to_json(), three.to_json()]}
    assert (one & two | ~three).to_json() == {
        "or": [{"and": [one.to_json(), two.to_json()]}, {"not": three.to_json()}]
    }
    parse_filter((one & two | ~three).to_json())


def test_mistakes_are_told() -> None:
    with pytest.raises(TypeError, match="join conditions"):
        bool(Field("a") == 1)
    with pytest.raises(TypeError, match="parentheses"):
        (Field("a") == 1) & 5  # type: ignore[operator]
    with pytest.raises(InvalidFilter):
        filter_json("year > 1")
    assert filter_json([Field("a") == 1, {"b": 2}]) == [
        {"field": "a", "operator": "eq", "value": 1},
        {"b": 2},
    ]
