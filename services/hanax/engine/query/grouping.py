"""Search by groups: the nearest points of each of the nearest values of a metadata field.

Groups are ranked by their nearest point. A search that is widened until it met enough values finds the
groups; one that it did not fill is then searched for by itself, under a filter on its value, so that a
group is short only where no more points have the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.field_values import Path, reader_of, scalars_of, value_from_json
from hanax.core.filters import And, Condition, Filter, Operator
from hanax.engine.points import METADATA_ONLY, Hits
from hanax.engine.query.reading import get
from hanax.engine.query.searching import Search, search
from hanax.engine.segment.view import View

_FIRST_WINDOW: Final = 64


@dataclass(slots=True)
class Group:
    """value: the JSON of a scalar. hits: ascending by (distance, id)."""

    value: bytes
    hits: Hits


@dataclass(slots=True)
class _Members:
    """Of one group, nearest first."""

    ids: list[bytes]
    distances: list[np.float32]


def search_groups(
    view: View, query: NDArray[np.float32], path: Path, groups: int, asked: Search
) -> list[Group]:
    """Up to `groups` groups of up to `asked.limit` points. query: float32[1, d], checked by the field.

    A point with an array belongs to the group of each of its values, one without a value to none.
    """
    window = max(_FIRST_WINDOW, 2 * groups * asked.limit)
    while True:
        hits = search(view, query, replace(asked, limit=window, projection=METADATA_ONLY))[0]
        found = _grouped(hits, path, groups, asked.limit)
        if len(hits.points) < window:
            return [_read(view, asked, value, members) for value, members in found.items()]
        if len(found) >= groups:
            break
        window *= 4
    return [
        _read(view, asked, value, members)
        if len(members.ids) == asked.limit
        else _group_of(view, query, path, value, asked)
        for value, members in found.items()
    ]


def search_values(
    view: View, query: NDArray[np.float32], path: Path, values: Sequence[bytes], asked: Search
) -> list[Group]:
    """The groups of these values, JSON of scalars, that have points. In the order of `values`."""
    found = [_group_of(view, query, path, value, asked) for value in values]
    return [group for group in found if len(group.hits.points)]


def _grouped(hits: Hits, path: Path, groups: int, size: int) -> dict[bytes, _Members]:
    """The nearest groups, as far as these hits tell."""
    found: dict[bytes, _Members] = {}
    read = reader_of(path)
    assert hits.points.metadata is not None
    for id_, blob, distance in zip(hits.points.ids, hits.points.metadata, hits.distances, strict=True):
        # In one order, should a point be the first of several groups.
        for value in sorted({orjson.dumps(one) for one in scalars_of(read(orjson.loads(blob)))}):
            members = found.get(value)
            if members is None:
                if len(found) == groups:
                    continue
                members = found[value] = _Members([], [])
            if len(members.ids) < size:
                members.ids.append(id_)
                members.distances.append(distance)
    return found


def _read(view: View, asked: Search, value: bytes, members: _Members) -> Group:
    points = get(view, members.ids, asked.projection, asked.field.dimension)
    return Group(value, Hits(np.array(members.distances, np.float32), points))


def _group_of(view: View, query: NDArray[np.float32], path: Path, value: bytes, asked: Search) -> Group:
    has_value: Filter = Condition(path, Operator.EQ, value_from_json(value))
    if asked.expression is not None:
        has_value = And((asked.expression, has_value))
    return Group(value, search(view, query, replace(asked, expression=has_value))[0])
