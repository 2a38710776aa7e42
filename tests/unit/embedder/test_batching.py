"""Which texts go together: the budget, the padding, and the oldest request's right of way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.embedder.batching import BatchShape, Pick, next_batch

counts = st.lists(st.integers(1, 300), min_size=1, max_size=20).map(
    lambda lengths: sorted(lengths, reverse=True)
)
queues = st.lists(counts, min_size=1, max_size=6)
shapes = st.builds(BatchShape, st.integers(1, 1_000), st.integers(0, 100), st.booleans())


def take(waiting: list[list[int]], shape: BatchShape) -> tuple[list[int], list[list[int]]]:
    """One batch's token counts, and what still waits of each request."""
    left = [list(request) for request in waiting]
    batch: list[int] = []
    for number, first, last in next_batch(waiting, shape):
        batch += waiting[number][first:last]
        del left[number][first:last]
    return batch, left


@given(queues, shapes)
def test_a_batch_costs_no_more_than_the_budget(waiting: list[list[int]], shape: BatchShape) -> None:
    batch, _ = take(waiting, shape)
    cost = len(batch) * max(batch) if shape.pads else sum(batch)
    assert len(batch) == 1 or cost <= shape.budget_tokens


@given(queues, shapes)
def test_padding_costs_less_than_another_batch(waiting: list[list[int]], shape: BatchShape) -> None:
    """Each row's own, and all that longer rows added to those before them."""
    batch, _ = take(waiting, shape)
    longest = batch[0]
    raised = 0
    for at, count in enumerate(batch):
        if count > longest:
            raised += at * (count - longest)
            longest = count
        assert not shape.pads or longest - count <= shape.overhead_tokens
    assert not shape.pads or raised <= shape.overhead_tokens


@given(queues, shapes)
def test_every_text_gets_its_turn_once(waiting: list[list[int]], shape: BatchShape) -> None:
    done: list[int] = []
    left = waiting
    while left:
        batch, after = take(left, shape)
        assert batch
        done += batch
        left = [request for request in after if request]
    assert sorted(done) == sorted(count for request in waiting for count in request)


@given(queues, shapes)
def test_the_oldest_request_takes_what_it_would_take_alone(
    waiting: list[list[int]], shape: BatchShape
) -> None:
    oldest = waiting[0]
    assert next_batch(waiting, shape)[0] == next_batch([oldest], shape)[0]


@pytest.mark.parametrize(
    ("waiting", "shape", "expected"),
    [
        ([[10]], BatchShape(128, 32), [Pick(0, 0, 1)]),
        # Four rows of ten fill the budget, and the fifth waits.
        ([[10, 10, 10, 10, 10]], BatchShape(40, 32), [Pick(0, 0, 4)]),
        # Room that the oldest leaves goes to later requests, in their order.
        ([[100], [100, 90], [80]], BatchShape(400, 32), [Pick(0, 0, 1), Pick(1, 0, 2), Pick(2, 0, 1)]),
        # A much longer text of a later request would make the oldest's row dearer.
        ([[100], [250, 100]], BatchShape(400, 32), [Pick(0, 0, 1), Pick(1, 1, 2)]),
        # One that is a little longer may come, once.
        ([[100], [125], [140]], BatchShape(1_000, 32), [Pick(0, 0, 1), Pick(1, 0, 1)]),
        # But not where the budget ends before it.
        ([[100], [125]], BatchShape(240, 32), [Pick(0, 0, 1)]),
        # Short texts do not ride in a long row.
        ([[200, 10]], BatchShape(1_000, 32), [Pick(0, 0, 1)]),
        # Where a batch is dear in itself they do.
        ([[200, 10]], BatchShape(1_000, 4_096), [Pick(0, 0, 2)]),
        # Without padding only the sum counts.
        ([[200, 10], [300, 5]], BatchShape(510, 0, pads=False), [Pick(0, 0, 2), Pick(1, 0, 1)]),
        # Past the budget all by itself, and still embedded.
        ([[512, 512]], BatchShape(128, 32), [Pick(0, 0, 1)]),
        ([[512, 512]], BatchShape(128, 32, pads=False), [Pick(0, 0, 1)]),
    ],
)
def test_batches(waiting: list[list[int]], shape: BatchShape, expected: list[Pick]) -> None:
    assert next_batch(waiting, shape) == expected
