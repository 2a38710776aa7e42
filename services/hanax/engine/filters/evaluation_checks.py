"""What one value of a field must be to satisfy an operator: the innermost part of an evaluation.

Python compares integers with floats exactly and strings by code point, which is what docs/filters.md
asks; its one trap is `True == 1`, so every check on numbers looks at the type.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from hanax.core.field_values import MISSING
from hanax.core.filters import GeoBox, GeoPolygon, GeoRadius, Operator, Range, Scalar
from hanax.core.geo import distance_m, in_box, in_polygon, point_of, unwrap
from hanax.core.times import instant_of
from hanax.core.words import has_phrase, has_words, wanted_words, words_of

# One value of a field, never its array. Arrays and objects inside arrays, objects, and MISSING
# come here too and must be answered False.
Check = Callable[[Any], bool]


_COMPARE: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
}


def equals(wanted: Scalar) -> Check:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return lambda value: wanted == value
    return lambda value: wanted == value and type(value) is not bool


def is_one_of(wanted: tuple[Scalar, ...]) -> Check:
    # Apart, because a set holds True and 1 for the same.
    flags = frozenset(item for item in wanted if isinstance(item, bool))
    others = frozenset(item for item in wanted if not isinstance(item, bool))

    def check(value: Any) -> bool:
        kind = type(value)
        if kind is bool:
            return value in flags
        return kind is not dict and kind is not list and value in others

    return check


def compares(relation: Operator, bound: Scalar) -> Check:
    """gt, gte, lt or lte. Two dates compare as instants, other texts by code point."""
    compare = _COMPARE[relation]
    if not isinstance(bound, str):

        def compares_number(value: Any) -> bool:
            kind = type(value)
            return (kind is int or kind is float) and compare(value, bound)

        return compares_number
    instant = instant_of(bound)
    if instant is None:
        return lambda value: type(value) is str and compare(value, bound)

    def compares_date(value: Any) -> bool:
        if type(value) is not str:
            return False
        its_instant = instant_of(value)
        return compare(value, bound) if its_instant is None else compare(its_instant, instant)

    return compares_date


def starts_with(part: str) -> Check:
    return lambda value: type(value) is str and value.startswith(part)


def ends_with(part: str) -> Check:
    return lambda value: type(value) is str and value.endswith(part)


def has_all_words(operand: str) -> Check:
    wanted = wanted_words(operand)
    return lambda value: type(value) is str and has_words(set(words_of(value)), wanted)


def has_the_phrase(operand: str) -> Check:
    phrase = words_of(operand)
    return lambda value: type(value) is str and has_phrase(words_of(value), phrase)


def is_empty(value: Any) -> bool:
    """The whole value of a field, arrays included."""
    return value is MISSING or value is None or value in ("", [], {})


def has_count(bounds: Range) -> Check:
    """The number of values of a field: of an array its elements, of anything else one, of null none."""
    limits = [
        (compare, bound)
        for compare, bound in (
            (operator.gt, bounds.gt),
            (operator.ge, bounds.gte),
            (operator.lt, bounds.lt),
            (operator.le, bounds.lte),
        )
        if bound is not None
    ]

    def check(value: Any) -> bool:
        if type(value) is list:
            count = len(value)
        else:
            count = 0 if value is MISSING or value is None else 1
        return all(compare(count, bound) for compare, bound in limits)

    return check


def within_radius(circle: GeoRadius) -> Check:
    centre = circle.latitude, circle.longitude

    def check(value: Any) -> bool:
        point = point_of(value)
        return point is not None and distance_m(centre, point) <= circle.metres

    return check


def within_box(box: GeoBox) -> Check:
    latitudes, longitudes = (box.bottom, box.top), (box.left, box.right)

    def check(value: Any) -> bool:
        point = point_of(value)
        return point is not None and in_box(point, latitudes, longitudes)

    return check


def within_polygon(polygon: GeoPolygon) -> Check:
    """Raises ValueError for a ring that `hanax.core.geo.unwrap` refuses, which no parsed filter has."""
    exterior, interiors = unwrap(polygon.exterior), [unwrap(ring) for ring in polygon.interiors]

    def check(value: Any) -> bool:
        point = point_of(value)
        return point is not None and in_polygon(point, exterior, interiors)

    return check
