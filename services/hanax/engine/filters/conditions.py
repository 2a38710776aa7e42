"""From an expression to the algebra on one metadata index: each condition becomes runs of its columns.

The meaning is that of `hanax.engine.filters.evaluation`, which decides whatever the columns don't tell.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hanax.core.filters import And, Condition, Filter, MinShould, Not, Operator, Or, Range
from hanax.core.times import instant_of
from hanax.engine.filters.bitmaps import (
    AnyOf,
    AtLeast,
    Chosen,
    Constant,
    Found,
    Node,
    Opposite,
    Run,
    Unknown,
    all_of,
)
from hanax.engine.filters.columns import PathColumns, Postings, RowSet, Words, bitmap_of
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.filters.geography import Points, rows_inside
from hanax.engine.filters.metadata_index import MetadataIndex
from hanax.engine.filters.selections import chosen, found, rows_with, unread, with_rest
from hanax.engine.filters.text_conditions import ends_with, phrase, starts_with, text

# Encoded ids -> their rows in the index, each once.
RowsOfIds = Callable[[tuple[bytes, ...]], NDArray[np.uint32]]

_NUMBERS: Final = ("ints", "bigs", "floats")


def resolve(expression: Filter, index: MetadataIndex, rows_of_ids: RowsOfIds) -> Node:
    """What the index knows of the expression. No row is looked at yet."""
    match expression:
        case Condition():
            return _condition(expression, index, rows_of_ids)
        case And(children):
            return all_of(index.rows, [resolve(child, index, rows_of_ids) for child in children])
        case Or(children):
            return AnyOf(index.rows, [resolve(child, index, rows_of_ids) for child in children])
        case Not(child):
            return Opposite(resolve(child, index, rows_of_ids))
        case MinShould(children, count):
            nodes = [resolve(child, index, rows_of_ids) for child in children]
            if not 0 < count <= len(nodes):
                return Constant(index.rows, count <= 0)
            return AtLeast(index.rows, nodes, count)


def _condition(condition: Condition, index: MetadataIndex, rows_of_ids: RowsOfIds) -> Node:
    value: Any = condition.value
    if condition.operator is Operator.HAS_ID:
        rows = rows_of_ids(value)
        return Chosen(index.rows, (), [RowSet(rows, len(rows), index.rows)], distinct=True)
    name = ".".join(condition.path)
    columns = index.columns(name)
    if columns is None:
        if index.is_absent(name):
            return Constant(index.rows, compile_filter(condition)({}, b""))
        return Unknown(index.rows)
    return _RESOLVE[condition.operator](columns, value)


# Equality


def _equal(columns: PathColumns, values: tuple[Any, ...]) -> tuple[list[Run], list[RowSet]]:
    """Where the values are, which are distinct."""
    runs: list[Run] = []
    sets: list[RowSet | None] = []
    for value in values:
        if value is None:
            sets.append(columns.sets.get("null"))
        elif value is True or value is False:
            sets.append(columns.sets.get("true" if value else "false"))
        elif type(value) is str:
            if (texts := columns.postings.get("texts")) is not None:
                strings = columns.strings["texts"]
                _add_equal(runs, texts, strings, value.encode())
        else:
            for kind in _NUMBERS:
                if (postings := columns.postings.get(kind)) is not None:
                    _add_equal(runs, postings, columns.values[kind], value)
    return runs, [chosen for chosen in sets if chosen is not None]


def _add_equal(runs: list[Run], postings: Postings, values: Any, value: Any) -> None:
    place = bisect_left(values, value)
    if place < len(values) and values[place] == value:
        runs.append((postings, place, place + 1))


def _eq(columns: PathColumns, value: Any) -> Node:
    return chosen(columns, *_equal(columns, (value,)))


def _in(columns: PathColumns, values: tuple[Any, ...]) -> Node:
    # Apart, because a set holds True and 1 for the same.
    flags = {value for value in values if isinstance(value, bool)}
    others = {value for value in values if not isinstance(value, bool)}
    return chosen(columns, *_equal(columns, (*flags, *others)))


def _contains(columns: PathColumns, value: Any) -> Node:
    """An array's element, or a part of a text."""
    rows = columns.segment_rows
    arrays = columns.sets.get("arrays")
    nodes: list[Node] = []
    if arrays is not None:
        equal = Chosen(rows, *_equal(columns, (value,)), distinct=False)
        nodes.append(all_of(rows, [equal, rows_with(columns, "arrays")]))
    texts = columns.postings.get("texts")
    if isinstance(value, str) and texts is not None:
        parts: Node
        if value:
            parts = found(columns, texts, partial(columns.strings["texts"].containing, value.encode()))
        else:
            parts = Chosen(rows, [(texts, 0, texts.groups)], (), columns.single)
        if arrays is not None:
            parts = all_of(rows, [parts, Opposite(rows_with(columns, "arrays"))])
        nodes.append(parts)
    return with_rest(columns, AnyOf(rows, nodes) if nodes else Constant(rows, False))


# Order


def _bounds(operator: Operator, values: Any, bound: Any) -> tuple[int, int]:
    """Places of the values for which the comparison holds: first, after. `values` ascend."""
    match operator:
        case Operator.GT:
            return bisect_right(values, bound), len(values)
        case Operator.GTE:
            return bisect_left(values, bound), len(values)
        case Operator.LT:
            return 0, bisect_left(values, bound)
        case _:
            return 0, bisect_right(values, bound)


def _compare(operator: Operator, columns: PathColumns, bound: Any) -> Node:
    if not isinstance(bound, str):
        runs: list[Run] = []
        for kind in _NUMBERS:
            if (postings := columns.postings.get(kind)) is not None:
                runs.append((postings, *_bounds(operator, columns.values[kind], bound)))
        return chosen(columns, runs, [])
    texts = columns.postings.get("texts")
    if texts is None:
        return chosen(columns, [], [])
    first, after = _bounds(operator, columns.strings["texts"], bound.encode())
    instant = instant_of(bound)
    instants = columns.postings.get("instants")
    if instant is None or (columns.dated and instants is None):
        return chosen(columns, [(texts, first, after)], [])
    if instants is None:
        return unread(columns, texts)
    dates: Run = (instants, *_bounds(operator, columns.values["instants"], instant))
    dateless = columns.array("dateless")
    assert dateless is not None
    begin, end = np.searchsorted(dateless, (first, after))
    if begin == end:
        return chosen(columns, [dates], [])
    rows = columns.segment_rows
    others = dateless[begin:end]
    node = AnyOf(rows, [Chosen(rows, [dates], [], columns.single), found(columns, texts, lambda: others)])
    return with_rest(columns, node)


# What is there


def _exists(columns: PathColumns, wanted: bool) -> Node:
    there = rows_with(columns, "there")
    return there if wanted else Opposite(there)


def _is_null(columns: PathColumns, wanted: bool) -> Node:
    null = rows_with(columns, "null")
    return null if wanted else Opposite(null)


def _is_empty(columns: PathColumns, wanted: bool) -> Node:
    empty = AnyOf(columns.segment_rows, [_exists(columns, False), rows_with(columns, "void")])
    return empty if wanted else Opposite(empty)


def _values_count(columns: PathColumns, wanted: Range) -> Node:
    """Counts other than 1 are in a column; what is missing counts 0."""
    rows = columns.segment_rows
    counts = columns.postings.get("counts")
    nodes: list[Node] = []
    others: Node = Constant(rows, False)
    if counts is not None:
        values = columns.values["counts"]
        first, after = 0, len(values)
        for operator, bound in (
            (Operator.GT, wanted.gt),
            (Operator.GTE, wanted.gte),
            (Operator.LT, wanted.lt),
            (Operator.LTE, wanted.lte),
        ):
            if bound is not None:
                start, end = _bounds(operator, values, bound)
                first, after = max(first, start), min(after, end)
        nodes.append(Chosen(rows, [(counts, first, max(first, after))], (), distinct=True))
        others = Chosen(rows, [(counts, 0, counts.groups)], (), distinct=True)
    if _is_within(1, wanted):
        nodes.append(all_of(rows, [_exists(columns, True), Opposite(others)]))
    if _is_within(0, wanted):
        nodes.append(_exists(columns, False))
    return AnyOf(rows, nodes) if nodes else Constant(rows, False)


def _is_within(number: int, wanted: Range) -> bool:
    return (
        (wanted.gt is None or number > wanted.gt)
        and (wanted.gte is None or number >= wanted.gte)
        and (wanted.lt is None or number < wanted.lt)
        and (wanted.lte is None or number <= wanted.lte)
    )


# Places


def _geo(columns: PathColumns, region: Any) -> Node:
    latitudes, longitudes, rows = (
        columns.array(f"points.{name}") for name in ("latitudes", "longitudes", "rows")
    )
    if latitudes is None or longitudes is None or rows is None:
        return chosen(columns, [], [])
    points = Points(latitudes, longitudes, rows)

    def find() -> Words:
        return bitmap_of(rows_inside(points, region), columns.segment_rows)

    return with_rest(columns, Found(columns.segment_rows, len(rows), find))


_RESOLVE: Final[Mapping[Operator, Callable[[PathColumns, Any], Node]]] = {
    Operator.EQ: _eq,
    Operator.NE: lambda columns, value: Opposite(_eq(columns, value)),
    Operator.IN: _in,
    Operator.NOT_IN: lambda columns, values: Opposite(_in(columns, values)),
    Operator.GT: partial(_compare, Operator.GT),
    Operator.GTE: partial(_compare, Operator.GTE),
    Operator.LT: partial(_compare, Operator.LT),
    Operator.LTE: partial(_compare, Operator.LTE),
    Operator.CONTAINS: _contains,
    Operator.STARTS_WITH: starts_with,
    Operator.ENDS_WITH: ends_with,
    Operator.TEXT: text,
    Operator.PHRASE: phrase,
    Operator.EXISTS: _exists,
    Operator.IS_NULL: _is_null,
    Operator.IS_EMPTY: _is_empty,
    Operator.VALUES_COUNT: _values_count,
    Operator.GEO_RADIUS: _geo,
    Operator.GEO_BOX: _geo,
    Operator.GEO_POLYGON: _geo,
}
