"""Part `single`: one query a call, metadata included, beside qdrant-edge with its payload.

Time on the clock, on all cores, in one process; both turn about in blocks of queries. The p50 at a recall
is interpolated over the effort as QPS are.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from benchmarks.index import ours, processes, qdrant
from benchmarks.index.curves import Point, qps_at
from benchmarks.index.datasets import Dataset, K, load
from benchmarks.index.measure import name_of
from benchmarks.index.peers import EF_CONSTRUCTION
from benchmarks.index.qps import TARGETS
from hanax.core.index_specs import SearchParameters
from hanax.engine.points import Hits
from hanax.engine.shard import Shard

_BLOCK: Final = 100
_CONFIGURATIONS: Final = ("ivf product", "hnsw int8")
_EFS: Final = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_ENOUGH_RECALL: Final = 0.9985


def run(names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """One entry per data set."""
    found = []
    for data in names:
        arguments = {"data": data, "quick": quick}
        entry = {"part": "single", **arguments, **processes.call("single", "measure", arguments)}
        found.append(entry)
        for target in map(str, TARGETS):
            print(f"\n{data}: p50 at {target}, us: {entry['p50_us_at'][target]}", flush=True)
    return found


def headline(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The worst over data sets and targets, against qdrant-edge as it comes; `runs` has its codes too."""
    ratios = [
        math.inf if ratio is None else ratio for run in runs for ratio in run["vs_qdrant_edge"].values()
    ]
    return {"single_p50_vs_qdrant_edge": max(ratios)} if ratios else {}


class _Searched(Protocol):
    def search(self, number: int, effort: Any) -> Any: ...

    def rows(self, answer: Any) -> list[int]: ...


class _Ours:
    def __init__(self, shard: Shard, data: Dataset) -> None:
        self._shard, self._queries = shard, data.queries

    def search(self, number: int, effort: SearchParameters) -> Sequence[Hits]:
        return self._shard.search(self._queries[number : number + 1], K, parameters=effort)

    def rows(self, answer: Sequence[Hits]) -> list[int]:
        rows: list[int] = ours.rows_of(answer)[0].tolist()
        return rows


def measure(data: str, quick: bool) -> dict[str, Any]:
    loaded = load(data, quick)
    ids, metadata = ours.points_of(loaded)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        other = qdrant.create(root, loaded, EF_CONSTRUCTION, codes=True)
        stack.callback(other.close)
        qdrant.insert(other, qdrant.batches(loaded, metadata))
        timed = {
            "qdrant-edge": _Timed(loaded, qdrant.Single(other, loaded, codes=False), _EFS),
            "qdrant-edge int8": _Timed(loaded, qdrant.Single(other, loaded, codes=True), _EFS),
        }
        for name in _CONFIGURATIONS:
            indexing = ours.INDEXINGS[name]
            folder = root / name
            folder.mkdir()
            shard = stack.enter_context(ours.open_shard(folder, loaded, ours.one_segment(indexing)))
            ours.insert(shard, loaded, ids, metadata)
            shard.compact()
            ours.wait_until_indexed(shard)
            ladder = ours.ladder_of(indexing.index.type)
            timed[f"hanax {name}"] = _Timed(loaded, _Ours(shard, loaded), ladder)
        for first in range(0, len(loaded.queries), _BLOCK):
            for found in timed.values():
                found.time(range(first, min(first + _BLOCK, len(loaded.queries))))
    points = {key: found.points() for key, found in timed.items()}
    at = {
        str(target): {key: 1e6 / qps_at(found, target) for key, found in points.items()} for target in TARGETS
    }
    return {
        "p50_us_at": at,
        "vs_qdrant_edge": {target: _ratio(p50_us, "qdrant-edge") for target, p50_us in at.items()},
        "vs_qdrant_edge_int8": {target: _ratio(p50_us, "qdrant-edge int8") for target, p50_us in at.items()},
        "points": {key: [point._asdict() for point in found] for key, found in points.items()},
    }


def _ratio(p50_us: dict[str, float], other: str) -> float:
    """Our fastest index to the other; NaN where one of them does not reach the recall."""
    ours_us = [value for key, value in p50_us.items() if key.startswith("hanax")]
    return min((value for value in ours_us if not math.isnan(value)), default=math.nan) / p50_us[other]


class _Timed:
    """One library, and the efforts that are timed: those up to enough recall."""

    def __init__(self, data: Dataset, searched: _Searched, efforts: Sequence[Any]) -> None:
        self._searched = searched
        self._recalls: dict[Any, float] = {}
        for effort in efforts:
            rows = np.full((len(data.queries), K), -1, np.int64)
            for number in range(len(data.queries)):
                found = searched.rows(searched.search(number, effort))
                rows[number, : len(found)] = found
            self._recalls[effort] = data.recall(rows)
            if self._recalls[effort] >= _ENOUGH_RECALL:
                break
        self._seconds: dict[Any, list[float]] = {effort: [] for effort in self._recalls}

    def time(self, numbers: Sequence[int]) -> None:
        """A block of queries at every effort."""
        for effort, seconds in self._seconds.items():
            for number in numbers:
                started = time.perf_counter()
                self._searched.search(number, effort)
                seconds.append(time.perf_counter() - started)

    def points(self) -> list[Point]:
        """With 1 / p50 in place of QPS."""
        return [
            Point(name_of(effort), recall, 1 / statistics.median(self._seconds[effort]))
            for effort, recall in self._recalls.items()
        ]
