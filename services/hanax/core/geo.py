"""Places on the earth, as a sphere: distances, boxes and polygons, in degrees and metres.

Longitudes -180 and 180 are compared as the numbers they are, in boxes, and are one meridian for
distances and polygons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

# The mean radius R1 of the WGS 84 ellipsoid, (2a + b) / 3.
EARTH_RADIUS_M: Final = 6_371_008.8

Point = tuple[float, float]


def point_of(value: Any) -> Point | None:
    """(latitude, longitude) of a decoded JSON object with numbers `lat` and `lon` in range, else None.

    Other keys of the object don't matter.
    """
    if type(value) is not dict:
        return None
    latitude, longitude = value.get("lat"), value.get("lon")
    if is_latitude(latitude) and is_longitude(longitude):
        return float(latitude), float(longitude)
    return None


def is_latitude(value: Any) -> TypeGuard[float]:
    """Whether a decoded JSON value is a number from -90 to 90."""
    return type(value) in (int, float) and -90 <= value <= 90


def is_longitude(value: Any) -> TypeGuard[float]:
    """Whether a decoded JSON value is a number from -180 to 180."""
    return type(value) in (int, float) and -180 <= value <= 180


def distance_m(here: Point, there: Point) -> float:
    """Metres along the great circle, by the haversine formula (Sinnott, Sky and Telescope 68:158, 1984)."""
    latitude, other_latitude = math.radians(here[0]), math.radians(there[0])
    half_north = math.sin((other_latitude - latitude) / 2)
    half_east = math.sin(math.radians(there[1] - here[1]) / 2)
    chord = half_north * half_north + math.cos(latitude) * math.cos(other_latitude) * half_east * half_east
    # Rounding may take it past 1 for opposite points.
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def in_box(point: Point, latitudes: tuple[float, float], longitudes: tuple[float, float]) -> bool:
    """Whether a point is in the box from bottom to top and from left eastwards to right, edges included."""
    (bottom, top), (left, right) = latitudes, longitudes
    if not bottom <= point[0] <= top:
        return False
    if left <= right:
        return left <= point[1] <= right
    return point[1] >= left or point[1] <= right


def unwrap(ring: Sequence[Point]) -> tuple[Point, ...]:
    """The same ring with longitudes that run on past 180, so that each edge is a straight line.

    An edge takes the shorter way round the earth. Raises ValueError for a ring that goes right
    round, about a pole, which has no inside on the plane of latitude and longitude.
    """
    turns = 0
    unwrapped = [ring[0]]
    for (_, before), (latitude, longitude) in zip(ring, [*ring[1:], ring[0]], strict=True):
        turns += (before - longitude > 180) - (longitude - before > 180)
        unwrapped.append((latitude, longitude + 360 * turns))
    if turns:
        raise ValueError("it goes round a pole")
    east = [longitude for _, longitude in unwrapped]
    if max(east) - min(east) > 360:
        raise ValueError("it goes round the earth")
    return tuple(unwrapped[:-1])


def in_polygon(point: Point, exterior: Sequence[Point], interiors: Sequence[Sequence[Point]]) -> bool:
    """Whether a point is inside the exterior ring and in no interior one. Rings are as `unwrap` makes them.

    Edges are straight on the plane of latitude and longitude. They belong to the polygon, as far as
    double precision tells: those of interiors, and those of the exterior whatever the interiors
    are. Inside is by the even-odd rule, where a ring crosses itself.
    """
    if (side := _side_of(point, exterior)) <= 0:
        return side == 0
    return all(_side_of(point, interior) <= 0 for interior in interiors)


def _side_of(point: Point, ring: Sequence[Point]) -> int:
    """1 inside the ring, 0 on it, -1 outside. Franklin, PNPOLY (1970), with the edges told apart."""
    latitude, longitude = point
    west = min(corner[1] for corner in ring)
    if longitude < west:
        longitude += 360 * math.ceil((west - longitude) / 360)
    elif longitude - 360 >= west:
        longitude -= 360 * math.floor((longitude - west) / 360)
    inside = False
    y1, x1 = ring[-1]
    for y2, x2 in ring:
        rise, run = y2 - y1, x2 - x1
        if (
            rise * (longitude - x1) == run * (latitude - y1)
            and min(y1, y2) <= latitude <= max(y1, y2)
            and min(x1, x2) <= longitude <= max(x1, x2)
        ):
            return 0
        if (y1 > latitude) != (y2 > latitude) and longitude < run * (latitude - y1) / rise + x1:
            inside = not inside
        y1, x1 = y2, x2
    return 1 if inside else -1
