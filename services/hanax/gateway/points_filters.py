"""A user's filter, narrowed to some points or to all but some: the wire form."""

from __future__ import annotations

from collections.abc import Sequence

from hanax.core.filter_parsing import filter_to_json, parse_filter
from hanax.core.filters import And, Condition, Filter, Not, Operator


def only_points(data: object, ids: Sequence[bytes]) -> bytes:
    """What matches the filter and has one of these encoded ids."""
    return filter_to_json(_both(parse_filter(data), Condition((), Operator.HAS_ID, tuple(ids))))


def without_points(data: object, ids: Sequence[bytes]) -> bytes:
    """What matches the filter, None being any point, and has none of these ids. Empty for all points."""
    given = None if data is None else parse_filter(data)
    if not ids:
        return b"" if given is None else filter_to_json(given)
    others = Not(Condition((), Operator.HAS_ID, tuple(ids)))
    return filter_to_json(others if given is None else _both(given, others))


def _both(given: Filter, more: Filter) -> Filter:
    # Beside the others where it can be, so that a filter at the greatest depth stays one.
    children = given.children if isinstance(given, And) else (given,)
    return And((*children, more))
