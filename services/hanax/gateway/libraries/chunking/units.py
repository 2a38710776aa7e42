"""Units of a text, such as words and sentences, and how many of them go into a chunk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from hanax.core.limits import MAX_CHUNK_CHARACTERS


class Unit(NamedTuple):
    """text[start:end], of so many tokens: it begins and ends with a visible character."""

    start: int
    end: int
    tokens: int


class Span(NamedTuple):
    start: int
    end: int


def pack(units: Sequence[Unit], size: int, overlap: int) -> list[Span]:
    """Spans of consecutive units: as many as fit into `size` tokens and MAX_CHUNK_CHARACTERS.

    units: ascending, without overlap, each of which fits by itself. A span begins with the last units of the
    one before that have up to `overlap` tokens together, or fewer where the next unit would not fit then.
    Every span has a unit that the one before has not.
    """
    if not units:
        return []
    before = list(accumulate((unit.tokens for unit in units), initial=0))
    ends = [unit.end for unit in units]
    spans: list[Span] = []
    first = after = 0
    while after < len(units):
        reach = _reach(units, before, ends, first, size)
        if reach <= after:
            first += 1
            continue
        spans.append(Span(units[first].start, ends[reach - 1]))
        least = first + 1
        after = first = reach
        while first > least and before[after] - before[first - 1] <= overlap:
            first -= 1
    return spans


def _reach(units: Sequence[Unit], before: Sequence[int], ends: Sequence[int], first: int, size: int) -> int:
    """Behind the last unit that fits into a span that begins with `first`."""
    by_tokens = bisect_right(before, before[first] + size) - 1
    by_characters = bisect_right(ends, units[first].start + MAX_CHUNK_CHARACTERS)
    return min(by_tokens, by_characters)
