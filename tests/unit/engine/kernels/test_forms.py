"""Both forms of the kernels against numpy, and against each other: integers are the same to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.engine.kernels import forms

Results = dict[str, NDArray[np.int64]]


@pytest.fixture(scope="module", params=["as this processor", "portable"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    if request.param != "portable":
        return forms.results()
    saved = tmp_path_factory.mktemp("forms") / "portable.npz"
    root = Path(__file__).parents[4]
    environment = {**os.environ, "HANAX_KERNELS": "portable"}
    # A folder that someone chose for the cache knows nothing of forms.
    environment.pop("NUMBA_CACHE_DIR", None)
    subprocess.run(
        [sys.executable, "-m", "tests.unit.engine.kernels.forms", str(saved)],
        check=True,
        cwd=root,
        env=environment,
    )
    with np.load(saved) as arrays:
        return dict(arrays)


def test_both_forms_are_the_same(results: Results) -> None:
    here = forms.results()
    assert results.keys() == here.keys()
    for name, expected in here.items():
        assert results[name].tolist() == expected.tolist(), name


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize("width", forms.WIDTHS)
def test_distances_of_codes(results: Results, width: int, l1: bool, at_once: int) -> None:
    codes = forms.codes_of(width).astype(np.int64)
    differences = codes[:, None] - codes[None]
    expected = abs(differences).sum(axis=2) if l1 else (differences**2).sum(axis=2)
    if at_once == 4:
        expected[:, 8:] = 0
    assert results[f"codes {l1} {at_once} {width}"].tolist() == expected.tolist()


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize("width", forms.FLOAT_WIDTHS)
def test_distances_of_vectors_are_the_bits_of_floats(
    results: Results, width: int, l1: bool, at_once: int
) -> None:
    vectors = forms.vectors_of(width)
    differences = vectors[:, None] - vectors[None]
    expected = abs(differences).sum(axis=2) if l1 else (differences**2).sum(axis=2)
    if at_once == 4:
        expected[:, 8:] = 0
    bits = results[f"floats {l1} {at_once} {width}"].astype(np.int32)
    assert bits.view(np.float32).tolist() == expected.tolist()


@pytest.mark.parametrize("parts", forms.PARTS)
def test_blocks_of_product_codes(results: Results, parts: int) -> None:
    codes, tables = forms.product_codes(parts), forms.product_tables(parts).astype(np.int64)
    expected = tables[np.arange(parts), codes].sum(axis=1)
    assert results[f"blocks {parts}"].tolist() == expected.tolist()
    below = results[f"below {parts}"]
    bits = [bool(below[vector // 32] >> (vector % 32) & 1) for vector in range(75)]
    assert bits == (expected < 128 * parts).tolist()
