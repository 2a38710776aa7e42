"""Which of the waiting texts go through the model together.

Texts of a batch are padded to the longest, so a batch costs count * longest tokens. The oldest
request leads: its longest text opens the batch, then come those of its texts that fit, then those
of later requests. A request is therefore never overtaken by so much that it waits: each batch
takes from the oldest all that it would take if that were alone.

A text joins only where the padding that it brings costs less than a batch of its own would.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import neg
from typing import NamedTuple


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
    left = budget_tokens
    picks: list[Pick] = []
    for number, counts in enumerate(waiting):
        last = 0
        while last < len(counts) and (counts[last] <= left or not (picks or last)):
            left -= counts[last]
            last += 1
        if last:
            picks.append(Pick(number, 0, last))
        if left <= 0 or last < len(counts):
            break
    return picks
