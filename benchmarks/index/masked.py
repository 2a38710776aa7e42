"""Part `masked`: an index of one segment under random masks, beside the same index without one.

Measured at the index, because a filter's evaluation is another matter: the engine tunes the index for
recall 0.95 on the queries, and then searches with one mask for all of them.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.index import processes
from benchmarks.index.datasets import Dataset, K, load, nearest_rows
from benchmarks.index.ours import INDEXINGS
from hanax.core.distances import Metric
from hanax.engine.index import factory
from hanax.engine.index.protocol import Mask, Source, Work
from hanax.engine.index.tuning import Aim, tune
from hanax.engine.schema import inverse_norms

SHARES: Final = (0.5, 0.1, 0.01, 0.001)
TARGET: Final = 0.95
CONFIGURATIONS: Final = ("ivf product", "hnsw int8")
_ROUNDS: Final = 5


def run(names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """One entry per data set and configuration."""
    found = []
    for data in names:
        for configuration in CONFIGURATIONS:
            arguments = {"data": data, "configuration": configuration, "quick": quick}
            entry = {
                "part": "masked",
                **arguments,
                **processes.call("masked", "measure", arguments, one_core=-1),
            }
            found.append(entry)
            print(f"\n{data}, hanax {configuration}: {entry['unmasked']['qps']:,.0f} QPS unmasked")
            for mask in entry["masks"]:
                print(
                    f"  {mask['share']:6.1%}: recall {mask['recall']:.4f}, {mask['qps_vs_unmasked']:.2f}x",
                    flush=True,
                )
    return found


def headline(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The worst over data sets, configurations and masks."""
    masks = [mask for run in runs for mask in run["masks"]]
    if not masks:
        return {}
    return {
        "masked_recall": min(mask["recall"] for mask in masks),
        "masked_qps_vs_unmasked": min(mask["qps_vs_unmasked"] for mask in masks),
    }


def measure(data: str, configuration: str, quick: bool) -> dict[str, Any]:
    loaded = load(data, quick)
    norms = inverse_norms(loaded.rows) if loaded.metric is Metric.COSINE else np.empty(0, np.float32)
    source = Source(loaded.rows, norms, loaded.metric)
    stopped = threading.Event()
    plan = factory.plan(INDEXINGS[configuration], source)
    index = factory.build(plan, source, Work(lambda name, dtype, shape: np.zeros(shape, dtype), stopped))
    tuned = tune(index, source, Aim(TARGET, None, loaded.queries), stopped)
    masks = [(share, *_mask(len(loaded.rows), share)) for share in SHARES]

    def searching(mask: Mask | None) -> Callable[[], NDArray[np.int64]]:
        return lambda: index.search(loaded.queries, K, mask, tuned.effort).rows

    searches = [searching(None), *(searching(mask) for _, _, mask in masks)]
    recalls = [loaded.recall(searches[0]())]
    recalls += [
        _restricted(loaded, allowed).recall(search())
        for (_, allowed, _), search in zip(masks, searches[1:], strict=True)
    ]
    unmasked, *masked = _qps(searches, len(loaded.queries), 2 if quick else _ROUNDS)
    return {
        "unmasked": {"recall": recalls[0], "qps": unmasked, "effort": tuned.effort.at(K)},
        "masks": [
            {"share": share, "recall": recall, "qps": qps, "qps_vs_unmasked": qps / unmasked}
            for share, recall, qps in zip(SHARES, recalls[1:], masked, strict=True)
        ],
    }


def _mask(rows: int, share: float) -> tuple[NDArray[np.bool_], Mask]:
    """Rows at random; never fewer than an answer holds."""
    count = max(round(share * rows), K)
    allowed = np.zeros(-(-rows // 64) * 64, np.bool_)
    allowed[np.random.default_rng(6).choice(rows, count, replace=False)] = True
    words = np.packbits(allowed, bitorder="little").view(np.uint64)
    return allowed[:rows], Mask(words, count)


def _restricted(data: Dataset, allowed: NDArray[np.bool_]) -> Dataset:
    """The same data with the true answers among the allowed rows. What is not allowed counts as missed."""
    nearest, farthest = nearest_rows(data.rows, data.queries, K, allowed)
    rows = np.where(allowed[:, None], data.rows, np.float32(np.inf))
    return replace(data, rows=rows, nearest=nearest, farthest=farthest)


def _qps(searches: Sequence[Callable[[], object]], queries: int, rounds: int) -> list[float]:
    """Median of CPU time, interleaved."""
    seconds: list[list[float]] = [[] for _ in searches]
    for _ in range(rounds):
        for number, search in enumerate(searches):
            started = time.process_time()
            search()
            seconds[number].append(time.process_time() - started)
    return [queries / statistics.median(spent) for spent in seconds]
