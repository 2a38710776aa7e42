"""Filters on points: an expression tree of conditions.

`hanax.core.filter_parsing` reads it from JSON and writes it back. What each operator means for
missing fields, nulls, arrays and mixed types is told in docs/filters.md, and tested from the
table there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Scalar = str | int | float | bool | None

# (latitude, longitude), in degrees.
Ring = tuple[tuple[float, float], ...]


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    EXISTS = "exists"
    IS_NULL = "is_null"
    IS_EMPTY = "is_empty"
    VALUES_COUNT = "values_count"
    HAS_ID = "has_id"
    TEXT = "text"
    PHRASE = "phrase"
    GEO_RADIUS = "geo_radius"
    GEO_BOX = "geo_box"
    GEO_POLYGON = "geo_polygon"


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number; at least one is given."""

    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """All within `metres` of a point, in degrees, on the sphere of `hanax.core.geo`."""

    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class GeoBox:
    """Between two latitudes and two longitudes, in degrees. left > right: across the date line."""

    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True, slots=True)
class GeoPolygon:
    """Inside the exterior and in no interior. Rings of three points or more, the first not repeated."""

    exterior: Ring
    interiors: tuple[Ring, ...] = ()


# The Python type that belongs to each operator is in `hanax.core.filter_operands`.
Operand = Scalar | tuple[Scalar, ...] | tuple[bytes, ...] | Range | GeoRadius | GeoBox | GeoPolygon


@dataclass(frozen=True, slots=True)
class Condition:
    """One field against one operand. `path` is the dotted field, split; empty for has_id."""

    path: tuple[str, ...]
    operator: Operator
    value: Operand


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    child: Filter


@dataclass(frozen=True, slots=True)
class MinShould:
    """Holds when at least `count` of the children hold."""

    children: tuple[Filter, ...]
    count: int


Filter = Condition | And | Or | Not | MinShould
