"""Part `floors`: 100,000 x 768, one query a call: exact, k-d tree and LSH, beside the times asked for."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.index import ours, processes
from benchmarks.index.datasets import Dataset, K, load
from hanax.core.index_specs import FlatIndex, Indexing, KdTreeIndex, LshIndex, SearchParameters
from hanax.engine.points import Hits
from hanax.engine.shard import Shard

_DATA: Final = "e"
_QUERIES: Final = 100
_LSH_RECALL: Final = 0.95
_PROBES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class _Floor(NamedTuple):
    indexing: Indexing
    asked_ms: float


_FLOORS: Final = {
    "exact": _Floor(Indexing(index=FlatIndex()), 450.0),
    "k-d tree": _Floor(Indexing(index=KdTreeIndex()), 380.0),
    "LSH": _Floor(Indexing(index=LshIndex(), target_recall=_LSH_RECALL), 45.0),
}


def run(quick: bool) -> list[dict[str, Any]]:
    """One entry per index."""
    found = []
    for name in _FLOORS:
        entry = {
            "part": "floors",
            "index": name,
            **processes.call("floors", "measure", {"name": name, "quick": quick}),
        }
        found.append(entry)
        print(
            f"\n{name}: {entry['median_ms']:.2f} ms at recall {entry['recall']:.4f}, asked for"
            f" {entry['asked_ms']:.0f} ms",
            flush=True,
        )
    return found


def measure(name: str, quick: bool) -> dict[str, Any]:
    data, floor = load(_DATA, quick), _FLOORS[name]
    with tempfile.TemporaryDirectory() as folder:
        options = ours.one_segment(floor.indexing)
        with ours.open_shard(Path(folder), data, options) as shard:
            ours.insert(shard, data, *ours.points_of(data))
            shard.compact()
            ours.wait_until_indexed(shard)
            parameters = _least_probes(shard, data) if name == "LSH" else SearchParameters()
            seconds: list[float] = []
            answers: list[Hits] = []
            for query in data.queries[:_QUERIES]:
                started = time.perf_counter()
                answers += shard.search(query[None], K, parameters=parameters)
                seconds.append(time.perf_counter() - started)
    found = np.full((len(data.queries), K), -1, np.int64)
    found[: len(answers)] = ours.rows_of(answers)
    return {
        "median_ms": statistics.median(seconds) * 1e3,
        "recall": float(data.recalls(found)[: len(answers)].mean()),
        "asked_ms": floor.asked_ms,
        "rows": len(data.rows),
        "dimension": data.dimension,
        "parameters": parameters.model_dump(exclude_defaults=True),
    }


def _least_probes(shard: Shard, data: Dataset) -> SearchParameters:
    """The least effort at which all queries together reach the recall; the last when none does."""
    for probes in _PROBES:
        parameters = SearchParameters(probes=probes)
        answer = shard.search(data.queries, K, projection=ours.IDS_ONLY, parameters=parameters)
        if data.recall(ours.rows_of(answer)) >= _LSH_RECALL:
            break
    return parameters
