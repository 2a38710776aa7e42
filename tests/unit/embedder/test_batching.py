"""Which texts go together: the budget, the padding, and the oldest request's right of way."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanax.embedder.batching import BatchShape, Pick, next_batch

counts = st.lists(st.integers(1, 300), min_size=1, max_size=20).map(
    lambda lengths: sorted(lengths, reverse=True)
)
queues = st.lists(counts, min_size=1, max_size=6)
shapes = st.builds(BatchShape, st.integers(1, 1_000), st.integers(0, 100), st.booleans())

# A busy machine may stop a test for as long as it likes.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def take(waiting: list[list[int]], shape: BatchShape) -> tuple[list[int], list[list[int]]]:
    """One batch's token counts, and what still waits of each request."""
    left = [list(request) for request in waiting]
    batch: list[int] = []
    for number, first, last in next_batch(waiting, shape):
        batch += waiting[number][first:last]
        del left[number][first:last]
    return batch, left


@unhurried
@given(queues, shapes)
def test_a_batch_costs_no_more_than_the_budget(waiting: list[list[int]], shape: BatchShape) -> None:
    batch, _ = take(waiting, shape)
    cost = len(batch) * max(batch) if shape.pads else sum(batch)
    assert len(batch) == 1 or cost <= shape.budget_tokens


@unhurried
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


@unhurried
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


@unhurried
@given(queues, shapes)
def test_the_oldest_request_takes_what_it_would_take_alone(
    waiting: list[list[int]], shape: BatchShape
) -> None:
    oldest = waiting[0]
    assert next_batch(waiting, shape)[0] == next_batch([oldest], shape)[0]


@unhurried
@given(queues, st.integers(1, 1_000))
def test_no_room_is_left_for_a_text_that_is_more_alike(waiting: list[list[int]], budget: int) -> None:
    """Without padding: what stays of the requests that were looked at fits no more, or is less alike."""
    batch, left = take(waiting, BatchShape(budget, 0, pads=False))
    room = budget - sum(batch)
    longest = waiting[0][0]
    if room < 0 or left[0] or sum(map(sum, waiting)) > 4 * budget:
        return
    stay = [count for request in left for count in request]
    assert not stay or room < max((count for count in stay if count <= longest), default=min(stay))


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
        ([[200, 10], [300, 5]], BatchShape(515, 0, pads=False), [Pick(0, 0, 2), Pick(1, 0, 2)]),
        # What is most like the oldest's comes first: not longer than its longest, the longest of those,
        ([[100], [300, 20], [90, 80]], BatchShape(270, 0, pads=False), [Pick(0, 0, 1), Pick(2, 0, 2)]),
        # and then longer ones, the shortest of those.
        (
            [[100], [300, 20], [250, 120]],
            BatchShape(250, 0, pads=False),
            [Pick(0, 0, 1), Pick(1, 1, 2), Pick(2, 1, 2)],
        ),
        # Where several are alike, the older one's.
        ([[100], [50], [50]], BatchShape(160, 0, pads=False), [Pick(0, 0, 1), Pick(1, 0, 1)]),
        # Nothing before the rest of the oldest.
        ([[100, 90], [10]], BatchShape(120, 0, pads=False), [Pick(0, 0, 1)]),
        # Of what came much later nothing is taken, however like it is.
        (
            [[100], [500, 400], [90]],
            BatchShape(200, 0, pads=False),
            [Pick(0, 0, 1)],
        ),
        # Past the budget all by itself, and still embedded.
        ([[512, 512]], BatchShape(128, 32), [Pick(0, 0, 1)]),
        ([[512, 512]], BatchShape(128, 32, pads=False), [Pick(0, 0, 1)]),
    ],
)
def test_batches(waiting: list[list[int]], shape: BatchShape, expected: list[Pick]) -> None:
    assert next_batch(waiting, shape) == expected
