"""Random metadata and filter expressions, drawn from few names and values so that they meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hanax.core.filters import And, Condition, Filter, Not, Operator, Or

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
]

names = st.sampled_from(["a", "b", "c", "Ä"])
keys = st.sampled_from(["a", "b", "c", "Ä", "a.b", "b.a", "", "."])
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=5)
scalars: Json = st.sampled_from(_TRICKY) | numbers | texts | st.booleans()
orderables: Json = st.sampled_from(
    [value for value in _TRICKY if value is not None and not isinstance(value, bool)]
) | (numbers | texts)

values: Json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
metadata: st.SearchStrategy[dict[str, Any]] = st.dictionaries(keys, values, max_size=4)

paths = st.lists(names, min_size=1, max_size=3).map(tuple)

_OPERANDS: dict[Operator, Json] = {
    Operator.EQ: scalars,
    Operator.NE: scalars,
    Operator.GT: orderables,
    Operator.GTE: orderables,
    Operator.LT: orderables,
    Operator.LTE: orderables,
    Operator.IN: st.lists(scalars, min_size=1, max_size=4).map(tuple),
    Operator.NOT_IN: st.lists(scalars, min_size=1, max_size=4).map(tuple),
    Operator.CONTAINS: scalars,
    Operator.EXISTS: st.booleans(),
}

conditions: st.SearchStrategy[Condition] = st.sampled_from(Operator).flatmap(
    lambda operator: st.builds(Condition, paths, st.just(operator), _OPERANDS[operator])
)

expressions: st.SearchStrategy[Filter] = st.recursive(
    conditions,
    lambda inner: (
        st.builds(Not, inner)
        | st.lists(inner, min_size=1, max_size=3).map(tuple).map(And)
        | st.lists(inner, min_size=1, max_size=3).map(tuple).map(Or)
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
_near_conditions: Json = st.fixed_dictionaries(
    {},
    optional={
        "field": st.sampled_from(["a", "a.b", "", ".", "a..b", 7, None]) | _near_scalars,
        "operator": st.sampled_from([*Operator, "EQ", "", None]) | _near_scalars,
        "value": _near_scalars,
        "extra": _near_scalars,
    },
)
near_filters: Json = st.recursive(
    _near_conditions | _near_scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["and", "or", "not", "nor"]), inner, max_size=2)
        | st.dictionaries(st.sampled_from(["and", "or"]), st.lists(inner, max_size=3), min_size=1, max_size=1)
    ),
    max_leaves=8,
)
