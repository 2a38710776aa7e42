"""Which texts go together: the budget, the padding, and the oldest request's right of way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.embedder.batching import Pick, next_batch

counts = st.lists(st.integers(1, 300), min_size=1, max_size=20).map(
    lambda lengths: sorted(lengths, reverse=True)
)
queues = st.lists(counts, min_size=1, max_size=6)
budgets = st.integers(1, 1_000)


def take(waiting: list[list[int]], budget: int) -> tuple[list[int], list[list[int]]]:
    """One batch's token counts, and what still waits of each request."""
    left = [list(request) for request in waiting]
    batch: list[int] = []
    for number, first, last in next_batch(waiting, budget):
        batch += waiting[number][first:last]
        del left[number][first:last]
    return batch, left


@given(queues, budgets)
def test_padding_counts_towards_the_budget(waiting: list[list[int]], budget: int) -> None:
    batch, _ = take(waiting, budget)
    assert len(batch) == 1 or len(batch) * max(batch) <= budget


@given(queues, budgets)
def test_a_row_is_padded_by_half_or_by_little(waiting: list[list[int]], budget: int) -> None:
    batch, _ = take(waiting, budget)
    longest = max(batch)
    assert all(count >= longest / 2 or longest - count <= 32 for count in batch)


@given(queues, budgets)
def test_every_text_gets_its_turn_once(waiting: list[list[int]], budget: int) -> None:
    done: list[int] = []
    left = waiting
    while left:
        batch, after = take(left, budget)
        assert batch
        done += batch
        left = [request for request in after if request]
    assert sorted(done) == sorted(count for request in waiting for count in request)


@given(queues, budgets)
def test_the_oldest_request_takes_what_it_would_take_alone(waiting: list[list[int]], budget: int) -> None:
    oldest = waiting[0]
    assert next_batch(waiting, budget)[0] == next_batch([oldest], budget)[0]


@pytest.mark.parametrize(
    ("waiting", "budget", "expected"),
    [
        ([[10]], 128, [Pick(0, 0, 1)]),
        # Four rows of ten fill the budget, and the fifth waits.
        ([[10, 10, 10, 10, 10]], 40, [Pick(0, 0, 4)]),
        # Room that the oldest leaves goes to later requests, in their order.
        ([[100], [100, 90], [80]], 400, [Pick(0, 0, 1), Pick(1, 0, 2), Pick(2, 0, 1)]),
        # A longer text of a later request would make the oldest's row dearer.
        ([[100], [250, 100]], 400, [Pick(0, 0, 1), Pick(1, 1, 2)]),
        # Short texts do not ride in a long row.
        ([[200, 10]], 1_000, [Pick(0, 0, 1)]),
        # Past the budget all by itself, and still embedded.
        ([[512, 512]], 128, [Pick(0, 0, 1)]),
    ],
)
def test_batches(waiting: list[list[int]], budget: int, expected: list[Pick]) -> None:
    assert next_batch(waiting, budget) == expected
