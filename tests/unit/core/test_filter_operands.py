"""The operand of each operator: what is taken, how it is written, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidFilter
from hanax.core.filter_operands import parse_operand, write_operand
from hanax.core.filter_parsing import parse_filter
from hanax.core.filters import GeoBox, GeoPolygon, GeoRadius, Operator, Range
from hanax.core.ids import encode_id
from hanax.core.limits import MAX_FILTER_POLYGON_POINTS, MAX_FILTER_VALUES, MAX_FILTER_WORDS

UUID = "01234567-89AB-cdef-0123-456789abcdef"
HERE = {"lat": 52.5, "lon": 13}
A, B, C = {"lat": 0, "lon": 0}, {"lat": 0, "lon": 2}, {"lat": 2.5, "lon": 0}
ABC = ((0.0, 0.0), (0.0, 2.0), (2.5, 0.0))
BOX = {"top": 53, "left": 13, "bottom": 52, "right": 14}


@pytest.mark.parametrize(
    ("operator", "value", "operand"),
    [
        ("eq", None, None),
        ("starts_with", "", ""),
        ("ends_with", "é", "é"),
        ("is_null", False, False),
        ("is_empty", True, True),
        ("values_count", {"gte": 2}, Range(gte=2.0)),
        ("values_count", {"gt": -1.5, "gte": 0, "lt": 7, "lte": 2**70}, Range(-1.5, 0.0, 7.0, 2.0**70)),
        ("has_id", [7, "a", UUID], (encode_id(7), encode_id("a"), encode_id(UUID))),
        ("text", "data* base", "data* base"),
        ("phrase", "no. 7", "no. 7"),
        ("geo_radius", {"center": HERE, "metres": 0}, GeoRadius(52.5, 13.0, 0.0)),
        ("geo_box", BOX, GeoBox(53.0, 13.0, 52.0, 14.0)),
        ("geo_box", {**BOX, "left": 180, "right": -180}, GeoBox(53.0, 180.0, 52.0, -180.0)),
        ("geo_polygon", {"exterior": [A, B, C]}, GeoPolygon(ABC)),
        ("geo_polygon", {"exterior": [A, B, C, A], "interiors": [[A, B, C]]}, GeoPolygon(ABC, (ABC,))),
    ],
)
def test_operand(operator: str, value: Any, operand: Any) -> None:
    found = parse_operand(Operator(operator), value, "value")
    assert (found, repr(found)) == (operand, repr(operand))
    assert parse_operand(Operator(operator), write_operand(found), "value") == operand


def test_a_flag_left_out_is_true() -> None:
    for operator in ("exists", "is_null", "is_empty"):
        left_out = parse_filter({"field": "a", "operator": operator})
        assert left_out == parse_filter({"field": "a", "operator": operator, "value": True})


SCALAR = "filter.value: expected text, a finite number, true, false or null, got "
ORDERABLE = "filter.value: expected a finite number or text to compare with, got "
LIST = "filter.value: expected a list with at least one value, got "
FLAG = "filter.value: expected true or false, got "
TEXT = "filter.value: expected text, got "
WORDS = f"filter.value: expected text with 1 to {MAX_FILTER_WORDS} words, got "
BOUNDS = 'filter.value: expected an object with bounds, such as {"gte": 2}, got '
CIRCLE = 'filter.value: expected an object like {"center": .* got '


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        ("eq", [1], SCALAR + "a list"),
        ("ne", {}, SCALAR + "an object"),
        ("contains", ["a"], SCALAR + "a list"),
        ("eq", float("nan"), SCALAR + "the number nan"),
        ("eq", float("inf"), SCALAR + "the number inf"),
        ("eq", 10**400, SCALAR + "an integer past 64 bits"),
        ("eq", "\ud800", SCALAR + "text that is not valid Unicode"),
        ("gt", True, ORDERABLE + "true"),
        ("lte", None, ORDERABLE + "null"),
        ("gte", [1], ORDERABLE + "a list"),
        ("lt", {"lat": 1}, ORDERABLE + "an object"),
        ("in", 1, LIST + "the number 1"),
        ("in", [], LIST + "an empty list"),
        ("not_in", "ab", LIST + "text"),
        ("in", [1, [2]], r"filter.value\[1\]: .* got a list"),
        ("in", [0] * (MAX_FILTER_VALUES + 1), f"at most {MAX_FILTER_VALUES} values, got 4097"),
        ("exists", 1, FLAG + "the number 1"),
        ("exists", None, FLAG + "null"),
        ("is_null", "true", FLAG + "text"),
        ("is_empty", [], FLAG + "an empty list"),
        ("starts_with", 7, TEXT + "the number 7"),
        ("starts_with", None, TEXT + "null"),
        ("ends_with", ["a"], TEXT + "a list"),
        ("ends_with", "\ud800", TEXT + "text that is not valid Unicode"),
        ("text", 7, TEXT + "the number 7"),
        ("text", "", WORDS + "0"),
        ("text", "* -_-", WORDS + "0"),
        ("text", "a " * (MAX_FILTER_WORDS + 1), WORDS + "65"),
        ("phrase", {"words": "a"}, TEXT + "an object"),
        ("phrase", "?", WORDS + "0"),
        ("values_count", 2, BOUNDS + "the number 2"),
        ("values_count", {}, BOUNDS + "an object"),
        ("values_count", {"eq": 2}, "filter.value: unknown bound 'eq'; expected gt, gte, lt, lte"),
        ("values_count", {"gte": "2"}, "filter.value.gte: expected a finite number, got text"),
        ("values_count", {"lt": True}, "filter.value.lt: expected a finite number, got true"),
        ("values_count", {"lt": None}, "filter.value.lt: expected a finite number, got null"),
        ("values_count", {"lt": 10**400}, "filter.value.lt: expected a finite number, got an integer"),
        ("geo_radius", 5, CIRCLE + "the number 5"),
        ("geo_radius", [52.5, 13.4], CIRCLE + "a list"),
        ("geo_radius", {"center": HERE}, "filter.value: no 'metres'; expected an object like"),
        (
            "geo_radius",
            {"center": HERE, "metres": 1, "unit": "km"},
            "filter.value: unknown key 'unit'; .* like",
        ),
        ("geo_radius", {"center": HERE, "metres": -1}, "filter.value.metres: .* 0 to 1e9, got the number -1"),
        ("geo_radius", {"center": HERE, "metres": "1"}, "filter.value.metres: .* got text"),
        ("geo_radius", {"center": HERE, "metres": True}, "filter.value.metres: .* got true"),
        (
            "geo_radius",
            {"center": HERE, "metres": float("nan")},
            "filter.value.metres: .* got the number nan",
        ),
        ("geo_radius", {"center": [1, 2], "metres": 1}, "filter.value.center: expected an object .* a list"),
        (
            "geo_radius",
            {"center": {"lat": 90.1, "lon": 0}, "metres": 1},
            "filter.value.center.lat: expected a latitude, a number from -90 to 90, got the number 90.1",
        ),
        (
            "geo_radius",
            {"center": {"lat": 0, "lon": "1"}, "metres": 1},
            "filter.value.center.lon: expected a longitude, a number from -180 to 180, got text",
        ),
        ("geo_box", None, 'filter.value: expected an object like {"top": .* got null'),
        ("geo_box", {"top": 1, "left": 1, "bottom": 1}, "filter.value: no 'right'"),
        ("geo_box", {**BOX, "top": 51}, "filter.value: expected top at or above bottom, got 51.0 below 52.0"),
        ("geo_box", {**BOX, "left": 181}, "filter.value.left: .* got the number 181"),
        ("geo_box", {**BOX, "bottom": False}, "filter.value.bottom: .* got false"),
        ("geo_polygon", [A, B, C], 'filter.value: expected an object like {"exterior": .* got a list'),
        ("geo_polygon", {}, "filter.value: no 'exterior'"),
        ("geo_polygon", {"exterior": A}, "filter.value.exterior: expected a list of points, got an object"),
        ("geo_polygon", {"exterior": [A, B, A]}, "filter.value.exterior: .* at least 3 points, got 2"),
        ("geo_polygon", {"exterior": [A, B, 7]}, r"filter.value.exterior\[2\]: .* got the number 7"),
        ("geo_polygon", {"exterior": [A, B, C], "interiors": A}, "interiors: expected a list of rings"),
        ("geo_polygon", {"exterior": [A, B, C], "interiors": [[]]}, r"interiors\[0\]: .* 3 points, got 0"),
        (
            "geo_polygon",
            {"exterior": [A, B, C], "interiors": [7]},
            r"interiors\[0\]: expected a list of points",
        ),
        (
            "geo_polygon",
            {"exterior": [A] * MAX_FILTER_POLYGON_POINTS, "interiors": [[A]]},
            f"filter.value: a polygon has at most {MAX_FILTER_POLYGON_POINTS} points, got 1001",
        ),
        (
            "geo_polygon",
            {"exterior": [{"lat": 80, "lon": lon} for lon in (0, 120, -120)]},
            "filter.value.exterior: expected a ring with an inside, but it goes round a pole",
        ),
    ],
)
def test_a_wrong_operand_is_named(operator: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        parse_filter({"field": "a", "operator": operator, "value": value})


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (7, "filter.has_id: expected a list with at least one id, got the number 7"),
        ([], "filter.has_id: expected a list with at least one id, got an empty list"),
        ([1, -1], r"filter.has_id\[1\]: an integer id is between 0 and 2\^64 - 1, got -1"),
        ([1.0], r"filter.has_id\[0\]: an id is a string, a UUID or .* integer, got the number 1.0"),
        ([True], r"filter.has_id\[0\]: .* got true"),
        ([""], r"filter.has_id\[0\]: a string id has 1 to 128 UTF-8 bytes"),
        (["\ud800"], r"filter.has_id\[0\]: an id must be valid Unicode"),
        ([10**5000], r"filter.has_id\[0\]: an integer id"),
        (list(range(MAX_FILTER_VALUES + 1)), f"filter.has_id: at most {MAX_FILTER_VALUES} ids, got 4097"),
    ],
)
def test_wrong_ids_are_named(ids: Any, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        parse_filter({"has_id": ids})


def test_limits_of_operands_can_be_reached() -> None:
    ring = [{"lat": 1, "lon": n / 100} for n in range(MAX_FILTER_POLYGON_POINTS - 1)] + [{"lat": 2, "lon": 0}]
    for operator, value in (
        ("in", list(range(MAX_FILTER_VALUES))),
        ("text", "a " * MAX_FILTER_WORDS),
        ("geo_polygon", {"exterior": ring}),
    ):
        parse_filter({"field": "a", "operator": operator, "value": value})
    parse_filter({"has_id": list(range(MAX_FILTER_VALUES))})
