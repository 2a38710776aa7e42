"""Which values a metadata field has, and how many points have each. Exact, over all matching points."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from hanax.core.errors import InvalidArgument
from hanax.core.field_values import Path, position_of
from hanax.core.filters import Filter, Scalar
from hanax.core.limits import MAX_FACET_VALUES
from hanax.engine.query.reading import allowed_flags
from hanax.engine.query.values import counted_values
from hanax.engine.segment.view import View

# Beyond a page, how many values may be held before those that can't be on it are dropped.
_SLACK: Final = 4_096


class Facet(NamedTuple):
    """counts: points by value, as JSON. matches: points that match, with the field or without."""

    counts: dict[bytes, int]
    matches: int


def count_values(view: View, path: Path, expression: Filter | None) -> Facet:
    """A point with an array counts once for each of its values.

    Raises InvalidArgument when there are more than MAX_FACET_VALUES.
    """
    counts: Counter[bytes] = Counter()
    matches = 0
    for part in view.segments:
        allowed = allowed_flags(part, expression)
        matches += int(np.count_nonzero(allowed))
        for value, count in counted_values(part, path, allowed):
            counts[orjson.dumps(value)] += count
            if len(counts) > MAX_FACET_VALUES:
                raise InvalidArgument(
                    f"field: {'.'.join(path)!r} has more than {MAX_FACET_VALUES} values among the matching "
                    "points, too many to count: narrow the filter, or list them with distinct"
                )
    return Facet(dict(counts), matches)


def distinct_values(
    view: View, path: Path, expression: Filter | None, after: tuple[Scalar] | None, limit: int
) -> tuple[list[bytes], bool]:
    """The next `limit` values behind `after`, as JSON, ascending by `position_of`; whether more follow."""
    start = None if after is None else position_of(after[0])
    found: dict[tuple[int, Any], Scalar] = {}
    for part in view.segments:
        for value, _ in counted_values(part, path, allowed_flags(part, expression)):
            position = position_of(value)
            if start is None or position > start:
                found[position] = value
                if len(found) > limit + _SLACK:
                    found = {position: found[position] for position in sorted(found)[: limit + 1]}
    page = [orjson.dumps(found[position]) for position in sorted(found)[:limit]]
    return page, len(found) > limit
