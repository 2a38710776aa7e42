"""Single steps of evaluating a filter on columns, where they are easiest to get wrong."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.filters import (
    And,
    Condition,
    Filter,
    GeoBox,
    GeoPolygon,
    GeoRadius,
    MinShould,
    Not,
    Operator,
    Or,
)
from hanax.core.geo import distance_m
from hanax.engine.filters.bitmaps import Node
from hanax.engine.filters.collecting import Collector
from hanax.engine.filters.conditions import resolve
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.segment.masks import flags_of


def where(field: str, operator: str, value: Any) -> Condition:
    return Condition(tuple(field.split(".")), Operator(operator), value)


def resolved(documents: list[dict[str, Any]], expression: Filter, pins: dict[str, str] | None = None) -> Node:
    collector = Collector(pins or {})
    collector.add([orjson.dumps(document) for document in documents])
    return resolve(expression, collector.finish(), lambda ids: np.empty(0, np.uint32))


def matching(
    documents: list[dict[str, Any]], expression: Filter, pins: dict[str, str] | None = None
) -> list[int]:
    """Rows, all of which the columns know; as the exact evaluation says."""
    known = resolved(documents, expression, pins).bounds()
    assert known.exact
    rows = np.flatnonzero(flags_of(known.lower, len(documents))).tolist()
    predicate = compile_filter(expression)
    assert rows == [row for row, document in enumerate(documents) if predicate(document, b"")]
    return rows


def test_each_end_of_a_range_may_hold_for_another_element() -> None:
    """Only of fields without arrays may the two ends be one range."""
    both = And((where("a", "gt", 1), where("a", "lt", 5)))
    assert matching([{"a": [0, 9]}, {"a": 3}, {"a": 0}], both) == [0, 1]
    assert matching([{"a": 9}, {"a": 3}, {"a": 2.5}, {"a": 1}, {"a": 5}], both) == [1, 2]
    assert matching([{"a": 3}], And((where("a", "gt", 5), where("a", "lt", 1)))) == []
    assert matching([{"a": 3}, {"a": "x"}], And((where("a", "eq", 3), where("a", "gte", 3)))) == [0]


def test_a_range_over_arrays_counts_rows_between_bounds() -> None:
    """A row stands in as many groups as it has values."""
    documents: list[dict[str, Any]] = [{"a": [1, 2, 3]}, {"a": [1, 2]}, {"a": 7}]
    estimate = resolved(documents, where("a", "lt", 5)).estimate
    assert (estimate.least, estimate.most) == (2, 3)
    assert matching(documents, where("a", "lt", 5)) == [0, 1]


def test_estimates_of_groups_bracket_what_matches() -> None:
    documents = [{"a": number % 2, "b": number % 3} for number in range(60)]
    halves, thirds = where("a", "eq", 0), where("b", "eq", 0)
    table: list[tuple[Filter, int, int, int]] = [
        (And((halves, thirds)), 0, 20, 10),
        (Or((halves, thirds)), 30, 50, 40),
        (Not(thirds), 40, 40, 40),
        (And((halves, Not(thirds))), 10, 30, 20),
        (MinShould((halves, thirds, Not(thirds)), 2), 15, 45, 30),
    ]
    for expression, least, most, matched in table:
        estimate = resolved(documents, expression).estimate
        assert (estimate.least, estimate.most) == (least, most), expression
        assert len(matching(documents, expression)) == matched


def test_a_prefix_of_two_words_of_one_text_counts_once() -> None:
    documents: list[dict[str, Any]] = [{"t": "foxes fox"}, {"t": "fox quick"}, {"t": ["foxes", "quick"]}]
    assert matching(documents, where("t", "text", "fo* quick"), {"t": "text"}) == [1]


def test_a_part_across_two_neighbouring_texts_is_none() -> None:
    documents = [{"t": text} for text in ("ab", "aba", "ba", "a", "b")]
    assert matching(documents, where("t", "contains", "ba")) == [1, 2]
    assert matching(documents, where("t", "contains", "bab")) == []
    assert matching(documents, where("t", "ends_with", "a")) == [1, 2, 3]


REGIONS = [
    GeoBox(30.0, -30.0, -30.0, 30.0),
    GeoBox(30.0, 150.0, -30.0, -150.0),
    GeoRadius(0.0, 0.0, distance_m((0.0, 0.0), (30.0, 60.0))),
    GeoRadius(90.0, 12.0, distance_m((90.0, 0.0), (60.0, 180.0))),
    GeoRadius(30.0, 180.0, distance_m((30.0, 180.0), (-30.0, 0.0))),
    GeoRadius(30.0, 60.0, 0.0),
    GeoRadius(0.0, 0.0, math.pi * 6_371_008.8),
    GeoPolygon(((-30.0, -30.0), (60.0, -30.0), (60.0, 90.0), (-30.0, 60.0))),
    # Interiors that cover a corner of the exterior, and that touch places inside.
    GeoPolygon(
        ((0.0, 0.0), (60.0, 0.0), (60.0, 90.0), (0.0, 90.0)),
        (
            ((-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0)),
            ((30.0, 30.0), (45.0, 60.0), (30.0, 75.0)),
        ),
    ),
    GeoPolygon(((-30.0, 150.0), (30.0, 150.0), (30.0, -150.0), (-30.0, -150.0))),
    # It crosses itself.
    GeoPolygon(((-60.0, -60.0), (60.0, 60.0), (60.0, -60.0), (-60.0, 60.0))),
]


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_regions_of_columns_equal_those_of_points(region: GeoBox | GeoRadius | GeoPolygon) -> None:
    """On a grid that meets every edge and corner, poles and the date line included."""
    grid = itertools.product(range(-90, 91, 15), range(-180, 181, 15))
    documents = [{"at": {"lat": latitude, "lon": longitude}} for latitude, longitude in grid]
    operator = {GeoBox: "geo_box", GeoRadius: "geo_radius", GeoPolygon: "geo_polygon"}[type(region)]
    assert matching(documents, where("at", operator, region))
