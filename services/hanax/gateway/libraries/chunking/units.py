"""Units of a text, such as words and sentences, and how many of them go into a chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
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


def pack(units: Iterable[Unit], size: int, overlap: int) -> Iterator[Span]:
    """Spans of consecutive units: as many as fit into `size` tokens and MAX_CHUNK_CHARACTERS.

    units: ascending, without overlap, each of which fits by itself. A span begins with the last units of the
    one before that have up to `overlap` tokens together, or fewer where the next unit would not fit then.
    Every span has a unit that the one before has not. Holds the units of one span at a time: a text may have
    millions of them.
    """
    held: deque[Unit] = deque()
    tokens = 0
    has_new = False
    for unit in units:
        while held and (tokens + unit.tokens > size or unit.end - held[0].start > MAX_CHUNK_CHARACTERS):
            keeps = size
            if has_new:
                yield Span(held[0].start, held[-1].end)
                has_new, keeps = False, overlap
            tokens -= held.popleft().tokens
            while tokens > keeps:
                tokens -= held.popleft().tokens
        held.append(unit)
        tokens += unit.tokens
        has_new = True
    if has_new:
        yield Span(held[0].start, held[-1].end)
