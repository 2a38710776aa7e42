"""Vectors from JSON: the same numbers, or the same refusal as the engine's."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.core.distances import Metric
from hanax.core.errors import DimensionMismatch, HanaxError, InvalidArgument
from hanax.core.specs import CollectionSpec
from hanax.engine.schema import VectorField
from hanax.gateway.vectors import VectorRows, find_fault, parse_vector


def _spec(metric: Metric = Metric.COSINE, dimension: int = 3) -> CollectionSpec:
    return CollectionSpec(name="docs", dimension=dimension, metric=metric)


@given(
    st.lists(
        st.lists(
            st.floats(-(2.0**50), 2.0**50, width=32) | st.integers(-(2**63), 2**64 - 1),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_numbers_are_kept_as_float32(lists: list[list[float]]) -> None:
    rows = VectorRows(_spec())
    for vector in lists:
        rows.append(vector, "vector")
    matrix = rows.matrix()
    assert matrix.dtype == np.float32
    expected = [[np.float32(number) for number in vector] for vector in lists]
    assert np.array_equal(matrix, np.array(expected, dtype=np.float32))


def test_no_rows_make_an_empty_matrix() -> None:
    assert VectorRows(_spec()).matrix().shape == (0, 3)
    assert find_fault(VectorRows(_spec()).matrix(), _spec()) is None


_edges = st.sampled_from(
    [
        0.0,
        -0.0,
        1e-46,
        1e-30,
        1e-19,
        1e-18,
        1.1e-18,
        1.0,
        1e17,
        9.9e17,
        1.1e18,
        3e38,
        1e39,
        np.inf,
        -np.inf,
        np.nan,
    ]
)


@given(st.lists(_edges, min_size=3, max_size=3), st.sampled_from(Metric))
def test_what_the_engine_refuses_never_reaches_it(vector: list[float], metric: Metric) -> None:
    """Same verdict and same error: else one shard would refuse what others have stored."""
    spec = _spec(metric)
    with np.errstate(over="ignore"):
        rows = np.array([vector], dtype=np.float32)

    def verdict(check: Any) -> type[HanaxError] | None:
        try:
            check()
        except HanaxError as error:
            return type(error)
        return None

    ours = verdict(lambda: parse_vector([float(number) for number in vector], spec, "vector"))
    engine = verdict(lambda: VectorField(spec.dimension, metric).check(rows))
    assert ours == engine


@pytest.mark.parametrize("wrong", [None, True, "1", [1], {}])
def test_a_component_that_is_no_number_is_named(wrong: object) -> None:
    with pytest.raises(InvalidArgument, match=r"query\[2\]: expected a number") as caught:
        parse_vector([1.0, 2, wrong], _spec(), "query")
    assert type(caught.value) is InvalidArgument


def test_a_wrong_dimension_says_both_numbers() -> None:
    with pytest.raises(DimensionMismatch, match="takes 3 numbers, got 4") as caught:
        parse_vector([1, 2, 3, 4], _spec(), "query")
    assert caught.value.details == {"expected": 3, "got": 4}


def test_the_first_bad_row_is_the_one_found() -> None:
    matrix = np.ones((5, 3), dtype=np.float32)
    matrix[2] = 0
    matrix[4] = 0
    fault = find_fault(matrix, _spec())
    assert fault is not None
    assert fault.row == 2


@given(st.lists(st.floats(-(2.0**50), 2.0**50, width=32), min_size=3, max_size=3))
def test_base64_of_float32_is_the_list_of_its_numbers(numbers: list[float]) -> None:
    packed = np.array(numbers, "<f4").tobytes()
    matrices = []
    for vector in (numbers, packed, b64encode(packed).decode()):
        rows = VectorRows(_spec())
        rows.append(vector, "vector")
        matrices.append(rows.matrix())
    assert np.array_equal(matrices[0], matrices[1])
    assert np.array_equal(matrices[0], matrices[2])


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("1,2,3", InvalidArgument, "vector: expected a list of 3 numbers, or base64 of float32, got text"),
        ("AAAAAA=", InvalidArgument, "got text"),
        ("AAAAAAA=", InvalidArgument, "expected 4 bytes for each of 3 numbers, got 5 bytes"),
        ("AAAAAA==", DimensionMismatch, "takes 3 numbers, got 1"),
        ("", DimensionMismatch, "takes 3 numbers, got 0"),
    ],
)
def test_other_text_is_refused(text: str, error: type[HanaxError], message: str) -> None:
    with pytest.raises(error, match=message):
        VectorRows(_spec()).append(text, "vector")
