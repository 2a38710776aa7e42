"""Part `ingest`: what metadata indexes add to the CPU time from the first insert to the last index.

With the options that a shard has when nothing is said, but one thread; by turns with indexes for all four
fields, and with none.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from benchmarks.index import ours
from benchmarks.index.datasets import Dataset, load
from hanax.core.ids import encode_id
from hanax.core.specs import PayloadIndex
from hanax.engine.shard import ShardOptions

_ROUNDS: Final = 3
_FIELDS: Final = ("label", "number", "published", "tags")
_LABELS: Final = 50
_TAGS: Final = 200
_TAGS_EACH: Final = 3
_FIRST_DAY: Final = datetime(2015, 1, 1, tzinfo=UTC)
_MINUTES: Final = 10 * 365 * 24 * 60
_SEED: Final = 9


def run(quick: bool) -> list[dict[str, Any]]:
    """One entry for each round. The first build of a process is not timed: it loads the kernels."""
    data = load("b", quick)
    metadata = _metadata(len(data.rows))
    none = dict.fromkeys(_FIELDS, PayloadIndex.NONE.value)
    _cpu_s(data, metadata, {})
    found = []
    for _ in range(1 if quick else _ROUNDS):
        spent = {"without": _cpu_s(data, metadata, none), "with": _cpu_s(data, metadata, {})}
        found.append({"part": "ingest", "cpu_s": spent, "cost": spent["with"] / spent["without"] - 1})
        print(f"ingest: {spent['without']:.2f} s of CPU, {spent['with']:.2f} s with indexes", flush=True)
    return found


def headline(runs: list[dict[str, Any]]) -> dict[str, float]:
    """From the medians of both."""
    if not runs:
        return {}
    spent = {key: statistics.median(run["cpu_s"][key] for run in runs) for key in ("with", "without")}
    return {"index_cost_of_ingest": spent["with"] / spent["without"] - 1}


def _cpu_s(data: Dataset, metadata: list[bytes], payload_indexes: dict[str, str]) -> float:
    """CPU time of the process, on all its threads, from the first insert until all is indexed."""
    ids = [encode_id(row) for row in range(len(data.rows))]
    options = ShardOptions(build_threads=1, payload_indexes=payload_indexes)
    with tempfile.TemporaryDirectory() as folder, ours.open_shard(Path(folder), data, options) as shard:
        started = time.process_time()
        ours.insert(shard, data, ids, metadata)
        shard.seal()
        ours.wait_until_indexed(shard)
        return time.process_time() - started


def _metadata(count: int) -> list[bytes]:
    """A keyword, an integer that is another in every point, a date and time, and an array of keywords."""
    random = np.random.default_rng(_SEED)
    labels, numbers = random.integers(0, _LABELS, count), random.permutation(count)
    minutes = random.integers(0, _MINUTES, count)
    tags = random.integers(0, _TAGS, (count, _TAGS_EACH))
    return [
        orjson.dumps(
            {
                "label": f"label-{label}",
                "number": number,
                "published": _FIRST_DAY + timedelta(minutes=minute),
                "tags": [f"tag-{tag}" for tag in chosen],
            }
        )
        for label, number, minute, chosen in zip(
            labels.tolist(), numbers.tolist(), minutes.tolist(), tags.tolist(), strict=True
        )
    ]
