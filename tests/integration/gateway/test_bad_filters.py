"""Filters that are refused at the door: each operator with a wrong operand, and forms that are none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.refusals import NAN, Case, check_refused
from tests.integration.gateway.stack import Stack


def _refused(name: str, expression: Any, mentions: str) -> Case:
    body = {"collection": "bad", "vector": [1, 0, 0], "filter": expression}
    return Case(name, "vectors/search", body, 422, "invalid_filter", mentions)


def _operand(operator: str, value: Any, mentions: str) -> Case:
    return _refused(operator, {"field": "a", "operator": operator, "value": value}, mentions)


CASES = [
    _operand("eq", {"b": 1}, "filter.value: expected text, a finite number"),
    _operand("ne", [1], "filter.value: expected text, a finite number"),
    _operand("gt", True, "filter.value: expected a finite number or text"),
    _operand("gte", None, "filter.value: expected a finite number or text"),
    _operand("lt", [], "filter.value: expected a finite number or text"),
    _operand("lte", NAN, "filter.value: expected a finite number or text"),
    _operand("in", "a", "filter.value: expected a list"),
    _operand("not_in", [{}], "filter.value[0]: expected text"),
    _operand("contains", ["a"], "filter.value: expected text"),
    _operand("starts_with", 7, "filter.value: expected text, got the number 7"),
    _operand("ends_with", None, "filter.value: expected text, got null"),
    _operand("exists", "yes", "filter.value: expected true or false"),
    _operand("is_null", 1, "filter.value: expected true or false"),
    _operand("is_empty", None, "filter.value: expected true or false"),
    _operand("values_count", 2, 'filter.value: expected an object with bounds, such as {"gte": 2}'),
    _operand("has_id", [1], "filter.field: operator has_id"),
    _operand("text", ["a"], "filter.value: expected text, got a list"),
    _operand("phrase", "...", "filter.value: expected text with 1 to 64 words, got 0"),
    _operand("geo_radius", {"center": {"lat": 91, "lon": 0}, "metres": 1}, "filter.value.center.lat"),
    _operand("geo_box", {"top": 0, "left": 0, "bottom": 1, "right": 1}, "top at or above bottom"),
    _operand(
        "geo_polygon", {"exterior": [{"lat": 0, "lon": 0}]}, "filter.value.exterior: expected at least 3"
    ),
    _refused("ids", {"has_id": [1, -1]}, "filter.has_id[1]: an integer id"),
    _refused("min_should none", {"min_should": {"conditions": [], "count": 1}}, "min_should.conditions"),
    _refused(
        "min_should count",
        {"min_should": {"conditions": [{"a": 1}], "count": 2}},
        "filter.min_should.count: expected a whole number from 1 to 1, got the number 2",
    ),
    _refused("Mongo operator", {"a": {"$regex": "x"}}, "filter.a: unknown operator '$regex'"),
    _refused("Mongo operand", {"b": 1, "a": {"$gt": [1]}}, "filter.a.$gt: expected a finite number or text"),
    _refused("Mongo group", {"$or": {"a": 1}}, "filter.$or: expected a list"),
    _refused("Mongo object", {"a": {"b": 1}}, "filter.a: unknown operator 'b'"),
    _refused("words", {"a": {"$text": "a " * 65}}, "1 to 64 words, got 65"),
    _refused(
        "points",
        {"a": {"$geo_polygon": {"exterior": [{"lat": 0, "lon": 0}] * 1_001}}},
        "at most 1000 points, got 1001",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_filter_is_refused_by_name(unwritten: Stack, case: Case) -> None:
    check_refused(unwritten, case)


@pytest.mark.parametrize("path", ["vectors/scroll", "vectors/count", "vectors/delete"])
def test_it_is_refused_wherever_filters_go(unwritten: Stack, path: str) -> None:
    body = {"collection": "bad", "filter": {"a": {"$gt": None}}}
    check_refused(unwritten, Case(path, path, body, 422, "invalid_filter", "filter.a.$gt"))
