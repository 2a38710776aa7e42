"""Random metadata and filter expressions, drawn from few names and values so that they meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
)
from hanax.core.ids import encode_id

Json = st.SearchStrategy[Any]

# Neighbours across types: equal as Python sees them, or equal once rounded to a float.
_TRICKY: list[Any] = [
    None,
    False,
    True,
    0,
    1,
    -1,
    0.0,
    -0.0,
    1.0,
    0.5,
    2**53,
    2**53 + 1,
    float(2**53),
    -(2**63),
    2**64 - 1,
    1e308,
    "",
    "a",
    "ab",
    "b",
    "B",
    "0",
    "true",
    "null",
    "é",
    "\uffff",
    "\U0001f600",
    "a b",
    "b a",
    "A-B c",
    "É a",
]

# Dates, and what they are in microseconds since 1970.
DATES: dict[str, int] = {
    "1970-01-01": 0,
    "1970-01-01T00:00:00Z": 0,
    "1970-01-01T01:00:00+01:00": 0,
    "1970-01-01t00:00:00.0000009z": 0,
    "1970-01-01T00:00:00.5": 500_000,
    "1970-01-01 00:00:01": 1_000_000,
    "1969-12-31T23:59:59.999999Z": -1,
    "1970-01-01T00:00:00-23:59": 86_340_000_000,
    "0001-01-01T00:00:00+00:01": -62_135_596_860_000_000,
    "9999-12-31T23:59:59.999999Z": 253_402_300_799_999_999,
}
_NEARLY_DATES = [
    "1970-01-01T00:00:60Z",
    "1970-02-30",
    "1970-01-01T00:00Z",
    "1970-01-01 ",
    "0000-01-01",
    "1970",
]

names = st.sampled_from(["a", "b", "c", "Ä"])
keys = st.sampled_from(["a", "b", "c", "Ä", "a.b", "b.a", "", "."])
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=5)
_dates = st.sampled_from([*DATES, *_NEARLY_DATES])
scalars: Json = st.sampled_from(_TRICKY) | numbers | texts | st.booleans() | _dates
orderables: Json = st.sampled_from(
    [value for value in _TRICKY if value is not None and not isinstance(value, bool)]
) | (numbers | texts | _dates)

# Whole degrees, and no distance between two places near one of the radii.
_latitudes = st.sampled_from([-90, -60, -1, 0, 1, 2, 45, 90]).map(float)
_longitudes = st.sampled_from([-180, -179, -90, -1, 0, 1, 2, 90, 179, 180]).map(float)
_metres = st.sampled_from([1, 1_000, 200_000, 5_000_000, 15_000_000, 21_000_000]).map(float)
places: Json = st.fixed_dictionaries(
    {"lat": _latitudes | st.sampled_from([1, 91, True, "1", None]), "lon": _longitudes | st.just(2)},
    optional={"a": st.integers(0, 1)},
)

values: Json = st.recursive(
    scalars | places,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
metadata: st.SearchStrategy[dict[str, Any]] = st.dictionaries(keys, values, max_size=4)

paths = st.lists(names, min_size=1, max_size=3).map(tuple)

ids = st.sampled_from([encode_id(value) for value in [*range(4), 2**64 - 1, "0", "a", "é", "x" * 128]])


@st.composite
def _rectangles(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """A ring along two meridians, up to 170 degrees apart and maybe about the date line, either way round."""
    bottom, top = sorted(draw(st.lists(_latitudes, min_size=2, max_size=2, unique=True)))
    left, width = draw(_longitudes), draw(st.sampled_from([1, 2, 91, 170]))
    right = (left + width + 180) % 360 - 180
    ring = ((bottom, left), (bottom, right), (top, right), (top, left))
    return ring[:: draw(st.sampled_from([1, -1]))]


_bounds: Json = st.none() | st.integers(-1, 3).map(float) | st.just(0.5)
_ranges = st.builds(Range, _bounds, _bounds, _bounds, _bounds).filter(lambda bounds: bounds != Range())
_boxes = st.builds(
    lambda latitudes, left, right: GeoBox(max(latitudes), left, min(latitudes), right),
    st.tuples(_latitudes, _latitudes),
    _longitudes,
    _longitudes,
)
_words = st.lists(
    st.sampled_from(["a", "b", "A", "é", "e\u0301", "c", "a*", "B*", "1970", "0"]), min_size=1, max_size=3
).map(" - ".join)

OPERANDS: dict[Operator, Json] = {
    Operator.EQ: scalars,
    Operator.NE: scalars,
    Operator.GT: orderables,
    Operator.GTE: orderables,
    Operator.LT: orderables,
    Operator.LTE: orderables,
    Operator.IN: st.lists(scalars, min_size=1, max_size=4).map(tuple),
    Operator.NOT_IN: st.lists(scalars, min_size=1, max_size=4).map(tuple),
    Operator.CONTAINS: scalars,
    Operator.STARTS_WITH: texts | st.sampled_from(["a", "1970-01-01"]),
    Operator.ENDS_WITH: texts | st.sampled_from(["b", "Z"]),
    Operator.EXISTS: st.booleans(),
    Operator.IS_NULL: st.booleans(),
    Operator.IS_EMPTY: st.booleans(),
    Operator.VALUES_COUNT: _ranges,
    Operator.HAS_ID: st.lists(ids, min_size=1, max_size=4).map(tuple),
    Operator.TEXT: _words,
    Operator.PHRASE: _words,
    Operator.GEO_RADIUS: st.builds(GeoRadius, _latitudes, _longitudes, _metres),
    Operator.GEO_BOX: _boxes,
    Operator.GEO_POLYGON: st.builds(
        GeoPolygon, _rectangles(), st.lists(_rectangles(), max_size=2).map(tuple)
    ),
}

field_conditions: st.SearchStrategy[Condition] = st.sampled_from(
    [operator for operator in Operator if operator is not Operator.HAS_ID]
).flatmap(lambda operator: st.builds(Condition, paths, st.just(operator), OPERANDS[operator]))

_sentences = st.lists(
    st.sampled_from(["a", "b", "A", "é", "ab", "c", "1970"]), min_size=1, max_size=5
).flatmap(lambda words: st.sampled_from([" ", "-", "_"]).map(lambda between: between.join(words)))
_KINDS: dict[Json, list[Operator]] = {
    places: [Operator.GEO_RADIUS, Operator.GEO_BOX, Operator.GEO_POLYGON],
    _sentences: [Operator.TEXT, Operator.PHRASE],
    _dates: [Operator.GT, Operator.GTE, Operator.LT, Operator.LTE],
}


@st.composite
def matches_by_kind(draw: st.DrawFn) -> tuple[Condition, Any]:
    """A condition on field a, and a value (or an array) of the kind that it is about."""
    kind = draw(st.sampled_from(list(_KINDS)))
    operator = draw(st.sampled_from(_KINDS[kind]))
    operand = draw(kind if kind is _dates else OPERANDS[operator])
    return Condition(("a",), operator, operand), draw(kind | st.lists(kind, max_size=3))


conditions: st.SearchStrategy[Condition] = field_conditions | st.builds(
    Condition, st.just(()), st.just(Operator.HAS_ID), OPERANDS[Operator.HAS_ID]
)


@st.composite
def _some_of(draw: st.DrawFn, inner: st.SearchStrategy[Filter]) -> MinShould:
    children = draw(st.lists(inner, min_size=1, max_size=4))
    return MinShould(tuple(children), draw(st.integers(1, len(children))))


expressions: st.SearchStrategy[Filter] = st.recursive(
    conditions,
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=1, max_size=3).map(tuple).map(And)
        | st.lists(inner, min_size=1, max_size=3).map(tuple).map(Or)
        | _some_of(inner)
    ),
    max_leaves=6,
)

# What a caller may send in place of a filter: any JSON, and JSON that is nearly right.
_near_scalars: Json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers().map(lambda number: 10 ** min(abs(number), 400))
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_near_operands: Json = st.deferred(
    lambda: (
        st.dictionaries(
            st.sampled_from(["gt", "lte", "center", "metres", "top", "left", "bottom", "right", "x"]),
            _near_scalars | places,
            max_size=4,
        )
        | st.fixed_dictionaries({"center": places, "metres": _near_scalars})
        | st.fixed_dictionaries(dict.fromkeys(["top", "left", "bottom", "right"], st.floats(-200, 200)))
        | st.fixed_dictionaries({"exterior": _near_rings}, optional={"interiors": st.lists(_near_rings)})
    )
)
_near_rings: Json = st.lists(places, max_size=6) | _near_scalars
_near_conditions: Json = st.fixed_dictionaries(
    {},
    optional={
        "field": st.sampled_from(["a", "a.b", "", ".", "a..b", 7, None]) | _near_scalars,
        "operator": st.sampled_from([*Operator, "EQ", "", None]) | _near_scalars,
        "value": _near_scalars | _near_operands,
        "extra": _near_scalars,
    },
)
_DOLLARS = ["$and", "$or", "$nor", "$not", "$gt", "$in", "$nin", "$text", "$geo_radius", "$where", "$"]
near_filters: Json = st.recursive(
    _near_conditions | _near_scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "nor", "min_should", "has_id", "a", "a.b", *_DOLLARS]),
            inner | _near_operands,
            max_size=3,
        )
        | st.dictionaries(
            st.sampled_from(["and", "or", "$and", "$or", "$nor", "has_id"]),
            st.lists(inner, max_size=3),
            min_size=1,
            max_size=1,
        )
        | st.fixed_dictionaries(
            {"min_should": st.fixed_dictionaries({"conditions": st.lists(inner), "count": st.integers(0, 3)})}
        )
    ),
    max_leaves=8,
)
