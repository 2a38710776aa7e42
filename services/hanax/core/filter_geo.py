"""Operands about places, as JSON.

    geo_radius   {"center": {"lat": 52.5, "lon": 13.4}, "metres": 5000}
    geo_box      {"top": 53, "left": 13, "bottom": 52, "right": 14}
    geo_polygon  {"exterior": [{"lat": 52, "lon": 13}, ...], "interiors": [[...], ...]}

Latitudes and longitudes are in degrees.
"""

from __future__ import annotations

import math
from typing import Any, Final

from hanax.core.errors import InvalidFilter
from hanax.core.filter_places import show
from hanax.core.filters import GeoBox, GeoPolygon, GeoRadius, Ring
from hanax.core.geo import is_latitude, is_longitude, unwrap
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_FILTER_POLYGON_POINTS

_POINT: Final = '{"lat": 52.5, "lon": 13.4}'
_RADIUS: Final = f'{{"center": {_POINT}, "metres": 5000}}'
_BOX: Final = '{"top": 53, "left": 13, "bottom": 52, "right": 14}'
_POLYGON: Final = f'{{"exterior": [{_POINT}, ...], "interiors": [[{_POINT}, ...], ...]}}'


def parse_radius(value: object, where: str) -> GeoRadius:
    given = _object(value, where, _RADIUS, {"center", "metres"})
    latitude, longitude = _point(given["center"], f"{where}.center")
    metres = given["metres"]
    if type(metres) not in (int, float) or not 0 <= metres <= 1e9 or not math.isfinite(metres):
        raise InvalidFilter(
            f"{where}.metres: expected a number of metres from 0 to 1e9, got {kind_of(metres)}"
        )
    return GeoRadius(latitude, longitude, float(metres))


def parse_box(value: object, where: str) -> GeoBox:
    given = _object(value, where, _BOX, {"top", "left", "bottom", "right"})
    top, bottom = (_latitude(given[name], f"{where}.{name}") for name in ("top", "bottom"))
    left, right = (_longitude(given[name], f"{where}.{name}") for name in ("left", "right"))
    if top < bottom:
        raise InvalidFilter(f"{where}: expected top at or above bottom, got {top} below {bottom}")
    return GeoBox(top, left, bottom, right)


def parse_polygon(value: object, where: str) -> GeoPolygon:
    given = _object(value, where, _POLYGON, {"exterior"}, {"interiors"})
    interiors = given.get("interiors", [])
    if not isinstance(interiors, list):
        raise InvalidFilter(f"{where}.interiors: expected a list of rings, got {kind_of(interiors)}")
    rings = [given["exterior"], *interiors]
    if (count := sum(len(ring) for ring in rings if isinstance(ring, list))) > MAX_FILTER_POLYGON_POINTS:
        raise InvalidFilter(f"{where}: a polygon has at most {MAX_FILTER_POLYGON_POINTS} points, got {count}")
    exterior = _ring(given["exterior"], f"{where}.exterior")
    return GeoPolygon(
        exterior, tuple(_ring(ring, f"{where}.interiors[{number}]") for number, ring in enumerate(interiors))
    )


def write_geo(value: GeoRadius | GeoBox | GeoPolygon) -> dict[str, Any]:
    match value:
        case GeoRadius(latitude, longitude, metres):
            return {"center": {"lat": latitude, "lon": longitude}, "metres": metres}
        case GeoBox(top, left, bottom, right):
            return {"top": top, "left": left, "bottom": bottom, "right": right}
        case GeoPolygon(exterior, interiors):
            return {"exterior": _points(exterior), "interiors": [_points(ring) for ring in interiors]}


def _points(ring: Ring) -> list[dict[str, float]]:
    return [{"lat": latitude, "lon": longitude} for latitude, longitude in ring]


def _ring(value: object, where: str) -> Ring:
    if not isinstance(value, list):
        raise InvalidFilter(f"{where}: expected a list of points, got {kind_of(value)}")
    ring = tuple(_point(item, f"{where}[{number}]") for number, item in enumerate(value))
    if len(ring) > 1 and ring[0] == ring[-1]:
        ring = ring[:-1]
    if len(ring) < 3:
        raise InvalidFilter(f"{where}: expected at least 3 points, got {len(ring)}")
    try:
        unwrap(ring)
    except ValueError as error:
        raise InvalidFilter(f"{where}: expected a ring with an inside, but {error}") from None
    return ring


def _point(value: object, where: str) -> tuple[float, float]:
    given = _object(value, where, _POINT, {"lat", "lon"})
    return _latitude(given["lat"], f"{where}.lat"), _longitude(given["lon"], f"{where}.lon")


def _latitude(value: Any, where: str) -> float:
    if is_latitude(value):
        return float(value)
    raise InvalidFilter(f"{where}: expected a latitude, a number from -90 to 90, got {kind_of(value)}")


def _longitude(value: Any, where: str) -> float:
    if is_longitude(value):
        return float(value)
    raise InvalidFilter(f"{where}: expected a longitude, a number from -180 to 180, got {kind_of(value)}")


def _object(
    value: object,
    where: str,
    example: str,
    required: set[str],
    optional: set[str] | frozenset[str] = frozenset(),
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFilter(f"{where}: expected an object like {example}, got {kind_of(value)}")
    if missing := sorted(required - set(value)):
        raise InvalidFilter(f"{where}: no {missing[0]!r}; expected an object like {example}")
    if extra := sorted(set(value) - required - optional):
        raise InvalidFilter(f"{where}: unknown key {show(extra[0])}; expected an object like {example}")
    return value
