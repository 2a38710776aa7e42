"""Which of the waiting texts go through the model together.

Texts of a batch are padded to the longest, so a batch costs count * longest tokens. The oldest
request leads: its longest text opens the batch, then come those of its texts that fit, then those
of later requests. A request is therefore never overtaken by so much that it waits: each batch
takes from the oldest all that it would take if that were alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

# A shorter text joins a batch when its padding is at most half of the row, or this many tokens:
# a batch of its own would cost more than that.
_CHEAP_PADDING_TOKENS: Final = 32


class Pick(NamedTuple):
    """Texts [first, last) of waiting request number `request`."""

    request: int
    first: int
    last: int


def next_batch(waiting: Sequence[Sequence[int]], budget_tokens: int) -> list[Pick]:
    """Choose from the token counts of what waits: requests oldest first, none empty, each
    descending.

    Padded cost is at most `budget_tokens`, except that a text which alone is dearer goes alone.
    Picks come in the order of requests; the first is of request 0.
    """
    longest = waiting[0][0]
    shortest = min(longest - longest // 2, max(1, longest - _CHEAP_PADDING_TOKENS))
    room = max(1, budget_tokens // longest)
    picks: list[Pick] = []
    for number, counts in enumerate(waiting):
        first = next((at for at, count in enumerate(counts) if count <= longest), len(counts))
        last = first
        while last < len(counts) and room and counts[last] >= shortest:
            last += 1
            room -= 1
        if last > first:
            picks.append(Pick(number, first, last))
        if not room:
            break
    return picks
