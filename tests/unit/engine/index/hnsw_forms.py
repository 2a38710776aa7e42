"""Graphs and answers in the form of the kernels that this process runs; a program that saves them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import HnswIndex, NoQuantisation, ScalarQuantisation
from hanax.engine.index.hnsw import Hnsw
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Fixed, source_of


def results() -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    # Small whole numbers: sums of floats are exact, whatever their order.
    random = np.random.default_rng(1)
    vectors = random.integers(-5, 6, (1_500, 20)).astype(np.float32)
    queries = random.integers(-5, 6, (10, 20)).astype(np.float32)
    mask = indexes.mask_of(random.random(1_500) < 0.5)
    for metric in (Metric.EUCLIDEAN, Metric.MANHATTAN):
        for quantisation in (ScalarQuantisation(), NoQuantisation()):
            source = source_of(metric, vectors)
            index = Hnsw.build(source, HnswIndex(m=6, ef_construction=30), quantisation, indexes.work())
            name = f"{metric} {quantisation.type}"
            found[f"{name} links"] = index.arrays["links"]
            found[name] = index.search(queries, 10, None, Fixed(12)).rows
            found[f"{name} masked"] = index.search(queries, 10, mask, Fixed(12)).rows
    return found


if __name__ == "__main__":
    np.savez(sys.argv[1], **results())  # type: ignore[arg-type]
