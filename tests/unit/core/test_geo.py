"""Places on the earth: distances, boxes, and polygons with holes, at the date line and on edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hanax.core.geo import (
    EARTH_RADIUS_M,
    Point,
    distance_m,
    in_box,
    in_polygon,
    is_latitude,
    is_longitude,
    point_of,
    unwrap,
)

QUARTER_M = EARTH_RADIUS_M * math.pi / 2


@pytest.mark.parametrize(
    ("value", "point"),
    [
        ({"lat": 1, "lon": 2}, (1.0, 2.0)),
        ({"lat": -90, "lon": 180.0, "name": "pole"}, (-90.0, 180.0)),
        ({"lat": 90.0000001, "lon": 0}, None),
        ({"lat": 0, "lon": -180.5}, None),
        ({"lat": 10**400, "lon": 0}, None),
        ({"lat": True, "lon": 0}, None),
        ({"lat": "1", "lon": 0}, None),
        ({"lat": None, "lon": 0}, None),
        ({"lat": float("nan"), "lon": 0}, None),
        ({"lat": 1}, None),
        ({"lon": 1}, None),
        ([1, 2], None),
        ("1,2", None),
        (None, None),
    ],
)
def test_point_of(value: Any, point: Point | None) -> None:
    assert point_of(value) == point


def test_bounds_are_in_range() -> None:
    assert is_latitude(-90)
    assert is_latitude(90.0)
    assert not is_latitude(math.nextafter(90, 91))
    assert is_longitude(-180)
    assert is_longitude(180.0)
    assert not is_longitude(math.nextafter(-180, -181))


@pytest.mark.parametrize(
    ("here", "there", "metres"),
    [
        ((0, 0), (0, 0), 0),
        ((52.5, 13.4), (52.5, 13.4), 0),
        ((0, 0), (0, 90), QUARTER_M),
        ((0, 0), (0, 180), 2 * QUARTER_M),
        ((0, 180), (0, -180), 0),
        ((0, 179.5), (0, -179.5), QUARTER_M / 90),
        ((90, 0), (-90, 77), 2 * QUARTER_M),
        ((90, 13), (90, -170), 0),
        ((45, 10), (-45, -170), 2 * QUARTER_M),
        ((-82, -58), (82, 122), 2 * QUARTER_M),
        ((30, 40), (90, 0), QUARTER_M * 2 / 3),
    ],
)
def test_distance(here: Point, there: Point, metres: float) -> None:
    assert distance_m(here, there) == pytest.approx(metres, abs=1e-6)
    assert distance_m(there, here) == pytest.approx(metres, abs=1e-6)


def test_distances_agree_with_angles_between_vectors() -> None:
    points = np.random.default_rng(4).uniform((-90, -180), (90, 180), (200, 2))
    latitude, longitude = np.radians(points).T
    vectors = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    for n in range(0, 200, 2):
        sine = float(np.linalg.norm(np.cross(vectors[n], vectors[n + 1])))
        angle = math.atan2(sine, float(vectors[n] @ vectors[n + 1]))
        (here, there) = points[n : n + 2].tolist()
        assert distance_m(here, there) == pytest.approx(EARTH_RADIUS_M * angle, rel=1e-9)


@pytest.mark.parametrize(
    ("point", "latitudes", "longitudes", "inside"),
    [
        ((1, 1), (0, 2), (0, 2), True),
        ((0, 0), (0, 2), (0, 2), True),
        ((2, 2), (0, 2), (0, 2), True),
        ((2.1, 1), (0, 2), (0, 2), False),
        ((1, -0.1), (0, 2), (0, 2), False),
        ((0, 175), (-1, 1), (170, -170), True),
        ((0, 180), (-1, 1), (170, -170), True),
        ((0, -180), (-1, 1), (170, -170), True),
        ((0, 0), (-1, 1), (170, -170), False),
        ((0, 169), (-1, 1), (170, -170), False),
        ((0, 180), (-1, 1), (-180, -170), False),
        ((90, 5), (89, 90), (0, 10), True),
        ((90, 15), (89, 90), (0, 10), False),
        ((0, 5), (-90, 90), (5, 5), True),
    ],
)
def test_box(point: Point, latitudes: Point, longitudes: Point, inside: bool) -> None:
    assert in_box(point, latitudes, longitudes) is inside


SQUARE = ((0, 0), (0, 10), (10, 10), (10, 0))
HOLE = ((4, 4), (4, 6), (6, 6), (6, 4))


@pytest.mark.parametrize(
    ("point", "inside"),
    [
        ((1, 1), True),
        ((0, 0), True),
        ((10, 10), True),
        ((0, 3), True),
        ((3, 10), True),
        ((-0.001, 3), False),
        ((3, 10.001), False),
        ((5, 5), False),
        ((4, 5), True),
        ((6, 6), True),
        ((5, 7), True),
        ((5, -7), False),
        ((0, 10.5), False),
        ((10, -0.5), False),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_polygon_with_a_hole(point: Point, inside: bool, turned: bool) -> None:
    """Edges belong to it, those of the hole included, whichever way round the rings go."""
    step = -1 if turned else 1
    assert in_polygon(point, unwrap(SQUARE[::step]), [unwrap(HOLE[::step])]) is inside


@pytest.mark.parametrize("east", [-540, -170, 0, 175, 179.5])
def test_a_polygon_is_the_same_wherever_the_date_line_is(east: float) -> None:
    def moved(point: Point) -> Point:
        return point[0], (point[1] + east + 180) % 360 - 180

    ring = unwrap([moved(point) for point in SQUARE])
    for point in ((1, 1), (9, 9.5), (5, 0.25)):
        assert in_polygon(moved(point), ring, [])
    for point in ((-1, 5), (5, 10.25), (5, -0.25), (5, 190), (5, 350)):
        assert not in_polygon(moved(point), ring, [])


def test_both_names_of_the_date_line_are_one_meridian_for_polygons() -> None:
    for ring in (((0, 170), (0, 180), (9, 180), (9, 170)), ((0, -170), (0, -180), (9, -180), (9, -170))):
        for longitude in (180.0, -180.0):
            assert in_polygon((5, longitude), unwrap(ring), [])
    assert not in_polygon((5, 179), unwrap(((0, -170), (0, -180), (9, -180), (9, -170))), [])


def test_a_polygon_wide_as_the_earth_needs_points_on_the_way() -> None:
    wide = unwrap([(-60, -180), (-60, 0), (-60, 180), (60, 180), (60, 0), (60, -180)])
    for longitude in (-180, -170, 0, 90, 180):
        assert in_polygon((10, longitude), wide, [])
        assert not in_polygon((61, longitude), wide, [])


def test_a_ring_that_crosses_itself_is_inside_by_even_and_odd() -> None:
    twice = unwrap([(0, 0), (0, 10), (10, 10), (10, 0), (0, 0), (0, 5), (5, 5), (5, 0)])
    assert not in_polygon((2, 2), twice, [])
    assert in_polygon((7, 7), twice, [])


def test_the_exterior_s_edge_belongs_to_a_polygon_whatever_its_interiors_are() -> None:
    over_an_edge = unwrap([(-2, 4), (-2, 6), (6, 6), (6, 4)])
    assert in_polygon((0, 5), unwrap(SQUARE), [over_an_edge])
    assert not in_polygon((0.001, 5), unwrap(SQUARE), [over_an_edge])


def test_slanted_edges() -> None:
    triangle = unwrap([(0, 0), (0, 4), (8, 0)])
    assert in_polygon((4, 2), triangle, [])
    assert in_polygon((4, 1.999), triangle, [])
    assert not in_polygon((4, 2.001), triangle, [])
    assert not in_polygon((8.001, 0), triangle, [])


def test_corners_at_a_point_s_own_latitude() -> None:
    """A line eastwards through a corner meets the ring there once, twice or never."""
    diamond = unwrap([(0, 5), (5, 10), (10, 5), (5, 0)])
    assert in_polygon((5, 2), diamond, [])
    assert not in_polygon((5, -2), diamond, [])
    assert not in_polygon((0, 2), diamond, [])
    assert not in_polygon((10, 2), diamond, [])
    step = unwrap([(0, 0), (0, 9), (3, 9), (3, 6), (6, 6), (6, 0)])
    assert in_polygon((3, 2), step, [])
    assert not in_polygon((3, -2), step, [])


@pytest.mark.parametrize(
    ("ring", "message"),
    [
        ([(80, 0), (80, 120), (80, -120)], "round a pole"),
        ([(-80, 0), (-80, -120), (-80, 120)], "round a pole"),
        (
            [(0, east % 360 - 180) for east in range(0, 400, 100)]
            + [(9, east % 360 - 180) for east in range(400, -1, -100)],
            "round the earth",
        ),
    ],
)
def test_rings_without_an_inside_are_refused(ring: list[Point], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unwrap(ring)
