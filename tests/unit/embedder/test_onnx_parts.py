"""Every row is computed once, in parts that waste little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.embedder.backends.onnx_parts import (
    equal_parts_of,
    equal_width,
    even_parts_of,
    even_width,
    parts_of,
)

COUNTS = st.lists(st.integers(1, 600), min_size=1, max_size=60)
BUDGET = st.integers(1, 1_000)


@given(COUNTS, BUDGET)
def test_parts_hold_every_row_once_within_the_budget(counts: list[int], budget: int) -> None:
    parts = parts_of(counts, budget)
    assert sorted(row for part in parts for row in part) == list(range(len(counts)))
    for part in parts:
        padded = len(part) * max(counts[row] for row in part)
        assert padded <= budget or len(part) == 1
    longest = [max(counts[row] for row in part) for part in parts]
    assert longest == sorted(longest, reverse=True)


def test_a_part_ends_where_padding_costs_more_than_a_run() -> None:
    assert parts_of([10, 100, 10, 9], 256) == [[1], [0, 2, 3]]
    assert parts_of([8] * 64, 256) == [list(range(32)), list(range(32, 64))]


@given(COUNTS, BUDGET)
def test_even_parts_hold_every_row_once_within_the_budget(counts: list[int], budget: int) -> None:
    parts = even_parts_of(counts, budget)
    assert sorted(row for part in parts for row in part) == list(range(len(counts)))
    for part in parts:
        assert len(part).bit_count() == 1
        width = even_width(counts[part[0]])
        assert counts[part[0]] == max(counts[row] for row in part) <= width
        assert len(part) * width <= budget or len(part) == 1


@given(COUNTS, BUDGET)
def test_equal_parts_hold_every_row_once_in_its_own_width(counts: list[int], budget: int) -> None:
    parts = equal_parts_of(counts, budget)
    assert sorted(row for part in parts for row in part) == list(range(len(counts)))
    for part in parts:
        (width,) = {equal_width(counts[row]) for row in part}
        assert width >= max(counts[row] for row in part)
        assert len(part) * width <= budget or len(part) == 1
    assert {len(part) for part in parts} <= {1, 2, 3, *(size << at for size in (2, 3) for at in range(12))}


def test_shapes_are_few() -> None:
    """Each takes memory for as long as the model is loaded: 40 widths for 512 tokens."""
    widths = {even_width(count) for count in range(1, 513)}
    assert len(widths) <= 40
    assert {even_width(width) for width in widths} == widths


@pytest.mark.parametrize("count", [1, 8, 9, 100, 129, 250, 511, 5_000, 8_192])
def test_little_is_padded(count: int) -> None:
    assert count <= even_width(count) < count + max(8, count / 8)


def test_an_even_part_ends_where_padding_costs_more_than_a_run() -> None:
    assert even_parts_of([200, 8, 8], 2_048) == [[0], [1, 2]]
    assert even_parts_of([64] * 5, 2_048) == [[0, 1, 2, 3], [4]]
    assert even_parts_of([64] * 32, 1_024) == [list(range(16)), list(range(16, 32))]
