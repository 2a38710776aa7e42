"""Options of a request: long texts, dimensions, normalising; and what is told of each text."""

from __future__ import annotations

import numpy as np
import pytest

from hanax.core.errors import InvalidArgument, TextTooLong
from hanax.embedder.backends import ModelInfo, Purpose, Tokens
from hanax.embedder.backends.hash_backend import HashBackend
from hanax.embedder.readings import LongTexts, Reading, Wish, check_dimensions, read_texts, unit_vectors

READS = HashBackend.info.max_tokens
SHORT = "a short text"
LONG = "word " * (READS + 7)
NESTED = ModelInfo("nested", 8, 100, "onnx", semantic=True, dimensions=(2, 4))


def wish(
    long_texts: LongTexts = LongTexts.TRUNCATE, *, normalize: bool = True, dimensions: int | None = None
) -> Wish:
    return Wish(Purpose.NONE, long_texts, normalize, dimensions)


def row(count: int) -> Tokens:
    return Tokens(np.array([count]), count, truncated=False)


def test_a_long_text_is_truncated_and_told() -> None:
    reading = read_texts(HashBackend(), [SHORT, LONG], wish(), 100)
    assert (reading.truncated, reading.split) == ([1], [])
    assert reading.tokens == [3, READS]


def test_a_long_text_is_refused_by_number_and_length() -> None:
    with pytest.raises(TextTooLong, match=f"text 1 has {READS + 7} tokens: hash-384 reads") as refused:
        read_texts(HashBackend(), [SHORT, LONG], wish(LongTexts.REFUSE), 100)
    assert refused.value.details == {"indexes": [1], "tokens": [READS + 7], "limit": READS}


def test_a_refusal_names_few_and_counts_the_others() -> None:
    with pytest.raises(TextTooLong, match=r"text 4 has \d+ tokens and 3 more are too long") as refused:
        read_texts(HashBackend(), [LONG] * 8, wish(LongTexts.REFUSE), 100)
    assert refused.value.details["indexes"] == list(range(8))


def test_a_long_text_is_split_and_nothing_is_left_out() -> None:
    reading = read_texts(HashBackend(), [LONG, SHORT], wish(LongTexts.SPLIT), 100)
    assert (reading.truncated, reading.split) == ([], [0])
    assert reading.tokens == [READS + 7, 3]
    assert [part.count for part in reading.rows] == [READS, 7, 3]


def test_parts_are_bounded() -> None:
    with pytest.raises(TextTooLong, match="texts up to number 2 have more than 5 parts"):
        read_texts(HashBackend(), [LONG] * 3, wish(LongTexts.SPLIT), 5)


def test_a_split_text_is_the_mean_of_its_parts_by_tokens() -> None:
    reading = Reading([[row(5)], [row(30), row(10)], [row(1)]])
    rows = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    found = reading.vectors(rows, wish())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[[0, 2]], [[1, 0], [0, 1]])
    np.testing.assert_allclose(found[1], np.array([3, 1]) / np.sqrt(10), rtol=1e-6)


def test_a_split_text_is_as_long_as_its_parts_on_average() -> None:
    reading = Reading([[row(30), row(10)]])
    rows = np.array([[2, 0], [0, 6]], np.float32)
    found = reading.vectors(rows, wish(normalize=False))
    np.testing.assert_allclose(np.linalg.norm(found[0]), 3.0, rtol=1e-6)


def test_a_cut_vector_is_the_first_numbers_normalised_again() -> None:
    reading = Reading([[row(1)]])
    rows = np.array([[3, 4, 12, 84]], np.float32)
    np.testing.assert_allclose(reading.vectors(rows, wish(dimensions=2)), [[0.6, 0.8]], rtol=1e-6)
    np.testing.assert_array_equal(reading.vectors(rows, wish(normalize=False, dimensions=2)), [[3, 4]])


@pytest.mark.parametrize(("dimensions", "cut"), [(0, None), (8, None), (4, 4), (2, 2)])
def test_dimensions_that_a_model_has(dimensions: int, cut: int | None) -> None:
    assert check_dimensions(NESTED, dimensions) == cut


def test_dimensions_that_it_was_not_trained_for_are_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="expected dimensions of 2, 4, 8 for nested, got 3") as refused:
        check_dimensions(NESTED, 3)
    assert refused.value.details == {"allowed": [2, 4, 8]}
    with pytest.raises(InvalidArgument, match="expected dimensions of 384 for hash-384, got 128"):
        check_dimensions(HashBackend.info, 128)


def test_unit_vectors() -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    units = unit_vectors(vectors)
    assert units.dtype == np.float32
    np.testing.assert_allclose(units, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
