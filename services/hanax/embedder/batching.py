"""Which of the waiting texts go through the model together.

Texts of a batch are padded to the longest, so a batch costs count * longest tokens. The oldest
request leads: its longest text opens the batch, then come those of its texts that fit, then those
of later requests. A request is therefore never overtaken by so much that it waits: each batch
takes from the oldest all that it would take if that were alone.

A text joins only where the padding that it brings costs less than a batch of its own would.

A backend that pads little, whatever the lengths, is given all that fits of the oldest request, and
then what is most like it, of as many later requests as some batches would take. So a text is
overtaken by what came at most that much later, and not for long: each batch ends the wait of one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain
from operator import neg
from typing import Final, NamedTuple

# How far later requests may be looked at for texts that fit, in batches.
_AHEAD_BUDGETS: Final = 4


class BatchShape(NamedTuple):
    """What batches cost, in tokens.

    `budget_tokens`: of one batch, padding counted. `overhead_tokens`: what a batch costs beside
    its tokens. `pads`: whether all rows are made as long as the longest; else the backend takes
    rows of any lengths, and only their sum counts.
    """

    budget_tokens: int
    overhead_tokens: int
    pads: bool = True


class Pick(NamedTuple):
    """Texts [first, last) of waiting request number `request`."""

    request: int
    first: int
    last: int


def next_batch(waiting: Sequence[Sequence[int]], shape: BatchShape) -> list[Pick]:
    """Choose from the token counts of what waits: requests oldest first, none empty, each
    descending.

    Cost is at most `budget_tokens`, except that a text which alone is dearer goes alone.
    Picks come in the order of requests; the first is of request 0.
    """
    return _padded(waiting, shape) if shape.pads else _unpadded(waiting, shape.budget_tokens)


def _padded(waiting: Sequence[Sequence[int]], shape: BatchShape) -> list[Pick]:
    budget, overhead = shape.budget_tokens, shape.overhead_tokens
    longest = waiting[0][0]
    rows = 0
    # What rows already chosen may be padded further for the sake of longer ones that come later.
    spare = overhead
    picks: list[Pick] = []
    for number, counts in enumerate(waiting):
        highest = longest
        if rows:
            highest = max(longest, min(longest + spare // rows, budget // (rows + 1)))
        first = bisect_left(counts, -highest, key=neg)
        if first == len(counts):
            continue
        raised = max(longest, counts[first])
        room = max(1, budget // raised) - rows
        last = min(bisect_left(counts, overhead - raised + 1, first, key=neg), first + room)
        if last <= first:
            continue
        spare -= rows * (raised - longest)
        longest = raised
        picks.append(Pick(number, first, last))
        rows += last - first
        if (rows + 1) * longest > budget:
            break
    return picks


def _unpadded(waiting: Sequence[Sequence[int]], budget_tokens: int) -> list[Pick]:
    """Beside the oldest, texts that are like its own come first: the backend computes texts of

    similar lengths together, and what it computes at once has a cost of its own. First those that
    are not longer than its longest, from the longest down; then longer ones, from the shortest up.
    """
    left = budget_tokens
    last = 0
    oldest = waiting[0]
    while last < len(oldest) and (oldest[last] <= left or last == 0):
        left -= oldest[last]
        last += 1
    picks = [Pick(0, 0, last)]
    if last < len(oldest):
        return picks
    later = range(1, _requests_ahead(waiting, _AHEAD_BUDGETS * budget_tokens))
    firsts = [bisect_left(waiting[number], -oldest[0], key=neg) for number in later]
    lasts = list(firsts)
    down = [(-count, at) for at, number in enumerate(later) for count in waiting[number][firsts[at] :]]
    up = [(count, at) for at, number in enumerate(later) for count in waiting[number][: firsts[at]]]
    for count, at in chain(sorted(down), sorted(up)):
        left -= abs(count)
        if left < 0:
            break
        if count < 0:
            lasts[at] += 1
        else:
            firsts[at] -= 1
    ranges = zip(later, firsts, lasts, strict=True)
    return picks + [Pick(*one) for one in ranges if one[1] < one[2]]


def _requests_ahead(waiting: Sequence[Sequence[int]], most_tokens: int) -> int:
    """How many of the requests, the oldest first, have so many tokens together; the last may have more."""
    tokens = 0
    for number, counts in enumerate(waiting):
        if tokens > most_tokens:
            return number
        tokens += sum(counts)
    return len(waiting)
