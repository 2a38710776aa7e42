"""docs/filters.md a second time, in the plainest words: what evaluation is compared with."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal
from typing import Any

import numpy as np

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
    Range,
    Ring,
)
from tests.property.strategies import DATES


def oracle(expression: Filter, document: dict[str, Any], id_: bytes) -> bool:
    """docs/filters.md read word by word, by ranks, decimals and angles: not as the engine does."""
    match expression:
        case And(children):
            return False not in [oracle(child, document, id_) for child in children]
        case Or(children):
            return True in [oracle(child, document, id_) for child in children]
        case Not(child):
            return not oracle(child, document, id_)
        case MinShould(children, count):
            return [oracle(child, document, id_) for child in children].count(True) >= count
        case Condition(_, Operator.HAS_ID, value):
            return isinstance(value, tuple) and id_ in value
        case Condition(path, Operator.NE, value):
            return not oracle(Condition(path, Operator.EQ, value), document, id_)
        case Condition(path, Operator.NOT_IN, value):
            return not oracle(Condition(path, Operator.IN, value), document, id_)
        case Condition(path, operator, value):
            return holds_for_field(operator, field_values(path, document), value)


def holds_for_field(operator: Operator, found: list[Any], value: Any) -> bool:
    elements = found[0] if found and isinstance(found[0], list) else found
    match operator:
        case Operator.EXISTS:
            return bool(found) is value
        case Operator.IS_NULL:
            return (None in elements) is value
        case Operator.IS_EMPTY:
            return (not found or found[0] is None or repr(found[0]) in ("[]", "{}", "''")) is value
        case Operator.VALUES_COUNT:
            count = 0 if found == [None] else len(elements)
            return all(
                bound is None or holds(Operator(name), count, bound)
                for name, bound in zip(("gt", "gte", "lt", "lte"), bounds_of(value), strict=True)
            )
        case Operator.CONTAINS if found and isinstance(found[0], str):
            return isinstance(value, str) and found[0].find(value) >= 0
        case Operator.CONTAINS if not found or not isinstance(found[0], list):
            return False
        case _:
            wanted = value if isinstance(value, tuple) else (value,)
            return any(holds(operator, element, item) for element in elements for item in wanted)


def bounds_of(bounds: Range) -> tuple[float | None, ...]:
    return bounds.gt, bounds.gte, bounds.lt, bounds.lte


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
    match operator:
        case Operator.GEO_RADIUS | Operator.GEO_BOX | Operator.GEO_POLYGON:
            return is_at(element, wanted)
        case Operator.STARTS_WITH:
            return isinstance(element, str) and element[: len(wanted)] == wanted
        case Operator.ENDS_WITH:
            return isinstance(element, str) and element[max(0, len(element) - len(wanted)) :] == wanted
        case Operator.TEXT:
            return isinstance(element, str) and all(
                re.search(
                    rf"\b{word.rstrip('*')}{'' if word.endswith('*') else chr(92) + 'b'}", folded(element)
                )
                for word in folded(wanted).replace("-", " ").split()
            )
        case Operator.PHRASE:
            phrase = r"\W+".join(folded(wanted).replace("*", " ").replace("-", " ").split())
            return isinstance(element, str) and re.search(rf"\b{phrase}\b", folded(element)) is not None
        case _:
            return compares(operator, element, wanted)


def compares(operator: Operator, element: Any, wanted: Any) -> bool:
    left, right = rank(element), rank(wanted)
    if left is None or right is None or left[0] != right[0]:
        return False
    if operator in (Operator.EQ, Operator.IN, Operator.CONTAINS):
        return bool(left[1] == right[1])
    if element in DATES and wanted in DATES:
        left, right = ("date", DATES[element]), ("date", DATES[wanted])
    match operator:
        case Operator.GT:
            return bool(left[1] > right[1])
        case Operator.GTE:
            return not left[1] < right[1]
        case Operator.LT:
            return bool(left[1] < right[1])
        case _:
            return not left[1] > right[1]


def folded(text: str) -> str:
    """Underscores, which a word of a regular expression may have, are none of ours."""
    again = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return again.replace("_", " ")


def is_at(element: Any, wanted: GeoRadius | GeoBox | GeoPolygon) -> bool:
    if not isinstance(element, dict):
        return False
    place: list[Any] = [element.get("lat"), element.get("lon")]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in place):
        return False
    latitude, longitude = map(float, place)
    if abs(latitude) > 90 or abs(longitude) > 180:
        return False
    match wanted:
        case GeoRadius():
            here, there = vector(latitude, longitude), vector(wanted.latitude, wanted.longitude)
            angle = math.atan2(float(np.linalg.norm(np.cross(here, there))), float(here @ there))
            # No radius is drawn so near a distance that rounding could matter.
            return angle * 6_371_008.8 <= wanted.metres
        case GeoBox(top, left, bottom, right):
            spans = [(left, right)] if left <= right else [(left, 180.0), (-180.0, right)]
            return bottom <= latitude <= top and any(low <= longitude <= high for low, high in spans)
        case GeoPolygon(exterior, interiors):
            if covers(exterior, latitude, longitude, edges=False):
                return not any(covers(ring, latitude, longitude, edges=False) for ring in interiors)
            return covers(exterior, latitude, longitude, edges=True)


def covers(rectangle: Ring, latitude: float, longitude: float, *, edges: bool) -> bool:
    bottom, top = min(rectangle)[0], max(rectangle)[0]
    one, other = sorted({corner[1] for corner in rectangle})
    left, width = (one, other - one) if other - one <= 180 else (other, one + 360 - other)
    east = (longitude - left) % 360
    if edges:
        return bottom <= latitude <= top and east <= width
    return bottom < latitude < top and 0 < east < width


def vector(latitude: float, longitude: float) -> Any:
    up, round_ = math.radians(latitude), math.radians(longitude)
    return np.array([math.cos(up) * math.cos(round_), math.cos(up) * math.sin(round_), math.sin(up)])
