"""Part `ingest`: from the first insert of 100,000 x 384 to the last segment indexed, on all cores.

Batches of 1,000 with metadata, each durable when acknowledged, one after the other from one client.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.index import ours, processes, qdrant
from benchmarks.index.datasets import load
from hanax.core.index_specs import Indexing
from hanax.engine.shard import ShardOptions

_DATA: Final = "b"
_ROUNDS: Final = 3
# What qdrant takes when nothing is said; we say nothing either.
_QDRANT_EF_CONSTRUCTION: Final = 100


def run(quick: bool) -> list[dict[str, Any]]:
    """One entry per round; qdrant-edge takes its turn in the first."""
    found = []
    for turn in range(1 if quick else _ROUNDS):
        entry = {
            "part": "ingest",
            "data": _DATA,
            "hanax": processes.call("ingest", "ours_indexed", {"quick": quick}),
        }
        if turn == 0:
            entry["qdrant-edge"] = processes.call("ingest", "qdrant_indexed", {"quick": quick})
        for name in ("hanax", "qdrant-edge"):
            if name in entry:
                print(f"\n{name}: {entry[name]['indexed_vps']:,.0f} vectors/s until indexed", flush=True)
        found.append(entry)
    return found


def headline(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The median of the rounds."""
    rates = sorted(run["hanax"]["indexed_vps"] for run in runs)
    return {"ingest_indexed_vps": rates[len(rates) // 2]} if rates else {}


def ours_indexed(quick: bool) -> dict[str, Any]:
    """With the options that a shard has when nothing is said, and a thread for each core."""
    data = load(_DATA, quick)
    ids, metadata = ours.points_of(data)
    threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        options = ShardOptions(indexing=Indexing(), build_threads=threads)
        with ours.open_shard(Path(folder), data, options, threads) as shard:
            cpu, started = time.process_time(), time.perf_counter()
            ours.insert(shard, data, ids, metadata)
            inserted = time.perf_counter() - started
            # What is left in memory is the last segment.
            shard.seal()
            ours.wait_until_indexed(shard)
            indexed = time.perf_counter() - started
            spent = time.process_time() - cpu
            stats = shard.stats()
            answer = shard.search(data.queries, 10, projection=ours.IDS_ONLY)
    return {
        "inserted_vps": len(ids) / inserted,
        "indexed_vps": len(ids) / indexed,
        "cpu_s": spent,
        "segments": stats.segments,
        "indexes": [index.type for index in stats.indexes],
        "recall": data.recall(ours.rows_of(answer)),
    }


def qdrant_indexed(quick: bool) -> dict[str, Any]:
    """Its points are made beforehand: turning arrays into Python lists is no part of it."""
    data = load(_DATA, quick)
    upserts = qdrant.batches(data, ours.points_of(data)[1])
    with tempfile.TemporaryDirectory() as folder:
        shard = qdrant.create(Path(folder), data, _QDRANT_EF_CONSTRUCTION)
        cpu, started = time.process_time(), time.perf_counter()
        qdrant.insert(shard, upserts)
        indexed = time.perf_counter() - started
        spent = time.process_time() - cpu
        shard.close()
    return {"indexed_vps": len(data.rows) / indexed, "cpu_s": spent}
