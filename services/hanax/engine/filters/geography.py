"""Which stored points of a path lie in a region: the columns of `hanax.core.geo`, whose answers they equal.

Points ascend by latitude, so a region looks at a band of them. Boxes and polygons take the same steps on
doubles as their pure functions, with the same roundings. Sines of whole arrays may differ from those of
numbers in the last bits: distances close to the limit are measured again one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.filters import GeoBox, GeoPolygon, GeoRadius
from hanax.core.geo import EARTH_RADIUS_M, Point, distance_m, unwrap

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Far above the error of a distance in doubles, which near the other side of the earth is some centimetres.
_DOUBT_M: Final = 1.0
# Degrees by which a band of latitudes is widened, for rounding.
_MARGIN: Final = 1e-4


class Points(NamedTuple):
    """Ascending by latitude. A row has as many entries as it has points."""

    latitudes: Numbers
    longitudes: Numbers
    rows: NDArray[np.uint32]

    def band(self, bottom: float, top: float) -> Points:
        first = int(np.searchsorted(self.latitudes, bottom, side="left"))
        after = int(np.searchsorted(self.latitudes, top, side="right"))
        return Points(self.latitudes[first:after], self.longitudes[first:after], self.rows[first:after])


def rows_inside(points: Points, region: GeoRadius | GeoBox | GeoPolygon) -> NDArray[np.uint32]:
    """Rows with a point in the region; some may come twice."""
    match region:
        case GeoRadius():
            return _within(points, region)
        case GeoBox():
            return _in_box(points, region)
        case GeoPolygon():
            return _in_polygon(points, region)


def _within(points: Points, region: GeoRadius) -> NDArray[np.uint32]:
    reach = math.degrees(region.metres / EARTH_RADIUS_M) + _MARGIN
    points = points.band(region.latitude - reach, region.latitude + reach)
    latitude = math.radians(region.latitude)
    latitudes = np.radians(points.latitudes)
    half_north = np.sin((latitudes - latitude) / 2)
    half_east = np.sin(np.radians(points.longitudes - region.longitude) / 2)
    chord = half_north * half_north + math.cos(latitude) * np.cos(latitudes) * half_east * half_east
    metres = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    inside: Flags = metres <= region.metres
    centre = (region.latitude, region.longitude)
    for place in np.flatnonzero(np.abs(metres - region.metres) <= _DOUBT_M).tolist():
        point = (float(points.latitudes[place]), float(points.longitudes[place]))
        inside[place] = distance_m(point, centre) <= region.metres
    return points.rows[inside]


def _in_box(points: Points, region: GeoBox) -> NDArray[np.uint32]:
    points = points.band(region.bottom, region.top)
    east, west = points.longitudes >= region.left, points.longitudes <= region.right
    return points.rows[east & west if region.left <= region.right else east | west]


def _in_polygon(points: Points, region: GeoPolygon) -> NDArray[np.uint32]:
    exterior = unwrap(region.exterior)
    points = points.band(min(corner[0] for corner in exterior), max(corner[0] for corner in exterior))
    side = _sides(points, exterior)
    inside = side >= 0
    within = side > 0
    for interior in region.interiors:
        # A point on the exterior ring belongs to the polygon, whatever the interiors are.
        inside &= ~(within & (_sides(points, unwrap(interior)) > 0))
    return points.rows[inside]


def _sides(points: Points, ring: Sequence[Point]) -> NDArray[np.int8]:
    """1 inside the ring, 0 on it, -1 outside: `hanax.core.geo._side_of` for all points, edge by edge."""
    latitude, longitude = points.latitudes, points.longitudes
    west = min(corner[1] for corner in ring)
    turns = np.where(longitude < west, np.ceil((west - longitude) / 360), 0.0)
    turns -= np.where(longitude - 360 >= west, np.floor((longitude - west) / 360), 0.0)
    longitude = longitude + 360 * turns
    inside = np.zeros(len(longitude), np.bool_)
    on_ring = np.zeros(len(longitude), np.bool_)
    y1, x1 = ring[-1]
    for y2, x2 in ring:
        rise, run = y2 - y1, x2 - x1
        on_ring |= (
            (rise * (longitude - x1) == run * (latitude - y1))
            & (latitude >= min(y1, y2))
            & (latitude <= max(y1, y2))
            & (longitude >= min(x1, x2))
            & (longitude <= max(x1, x2))
        )
        if rise != 0:
            crossed = (y1 > latitude) != (y2 > latitude)
            inside ^= crossed & (longitude < run * (latitude - y1) / rise + x1)
        y1, x1 = y2, x2
    sides: NDArray[np.int8] = np.where(on_ring, 0, np.where(inside, 1, -1)).astype(np.int8)
    return sides
