"""An index-shard process whose routing table changes how a collection is indexed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument
from hanax.core.specs import CollectionSpec
from tests.integration.index_shard_process import IndexShardProcess, Routes, Shard
from tests.integration.waiting import wait_until

ROWS, DIMENSION = 2_000, 16
VECTORS = np.random.default_rng(3).standard_normal((ROWS, DIMENSION)).astype(np.float32)


@pytest.fixture
def routes(tmp_path: Path) -> Routes:
    return Routes(tmp_path / "routing.json")


@pytest.fixture
def process(tmp_path: Path, routes: Routes) -> Iterator[IndexShardProcess]:
    """Its segments are sealed soon, and large enough to be indexed."""
    with IndexShardProcess(tmp_path, routes.path, segment_max_rows=1_000) as process:
        yield process


@pytest.fixture
def docs(process: IndexShardProcess, routes: Routes) -> Shard:
    routes.put("docs", dimension=DIMENSION)
    routes.write()
    shard = process.shard("docs").wait_open()
    shard.upsert(range(ROWS), VECTORS)
    return shard


def change(routes: Routes, **more: object) -> int:
    """Write a table in which docs is indexed so. Returns the generation."""
    known = routes.collections["docs"]
    spec = CollectionSpec.model_validate({**dict(known.spec), **more})
    generation = known.generation + 1
    routes.collections["docs"] = known.model_copy(update={"spec": spec, "generation": generation})
    routes.write()
    return generation


def built(shard: Shard, generation: int, type_: str) -> pb.DescribeResponse:
    """What the shard tells once all its segments have the index of that generation."""

    def look() -> pb.DescribeResponse | None:
        told = shard.describe()
        kinds = {(index.type, index.state) for index in told.indexes}
        return told if told.generation == generation and kinds == {(type_, "built")} else None

    return wait_until(f"all have {type_}", look)


def test_an_open_shard_follows_and_a_restart_brings_it_back(
    process: IndexShardProcess, routes: Routes, docs: Shard
) -> None:
    generation = change(routes, index={"type": "hnsw"}, target_recall=0.9)
    told = built(docs, generation, "hnsw")
    assert told.index_memory_bytes == sum(index.memory_bytes for index in told.indexes) > 0
    segments = {index.segment for index in told.indexes}
    opened = [entry for entry in process.logged() if entry["event"] == "shard opened"]
    assert len(opened) == 1, "it stayed open"
    process.restart(signal.SIGKILL)
    docs = process.shard("docs").wait_open()
    told = built(docs, generation, "hnsw")
    assert {index.segment for index in told.indexes} == segments
    assert [id_ for id_, _ in docs.search(VECTORS[7], 1)] == [7]


def test_metrics_tell_of_indexes_and_of_live_recall(
    process: IndexShardProcess, routes: Routes, docs: Shard
) -> None:
    built(docs, change(routes, index={"type": "hnsw"}), "hnsw")

    def metric(name: str, **labels: str) -> float | None:
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in process.page("/metrics").splitlines():
            if line.startswith(name + "{") and all(label in line for label in wanted):
                return float(line.rpartition(" ")[2])
        return None

    def recall() -> float | None:
        docs.search(VECTORS[11] + 0.01, 10)
        return metric("vector_db_recall", collection="docs")

    share = wait_until("a live query was compared", recall)
    assert 0.5 < share <= 1
    assert metric("vector_db_index_segments", collection="docs", state="built") == len(
        docs.describe().indexes
    )
    assert metric("vector_db_index_segments", collection="docs", state="refused") == 0
    told = docs.describe()
    assert metric("vector_db_index_memory_bytes", collection="docs") == told.index_memory_bytes
    assert told.live_recall_samples >= 1


def test_a_build_past_the_memory_allowed_is_refused_and_told(tmp_path: Path, routes: Routes) -> None:
    """The segment is searched all the same, vector by vector."""
    routes.put("docs", dimension=DIMENSION)
    routes.write()
    settings: dict[str, Any] = {"segment_max_rows": 1_000, "index_memory_bytes": 1_000_000}
    with IndexShardProcess(tmp_path, routes.path, **settings) as process:
        docs = process.shard("docs").wait_open()
        docs.upsert(range(ROWS), VECTORS)
        change(routes, index={"type": "hnsw"})

        def refused() -> list[pb.SegmentIndex] | None:
            indexes = list(docs.describe().indexes)
            return indexes if indexes and {index.state for index in indexes} == {"refused"} else None

        indexes = wait_until("it is refused", refused)
        assert all("MiB of memory" in index.reason for index in indexes)
        assert [id_ for id_, _ in docs.search(VECTORS[7], 1)] == [7]


def test_a_search_may_be_exact_and_what_is_out_of_range_is_named(docs: Shard) -> None:
    found = docs.search(VECTORS[7], 3, parameters=pb.SearchParameters(exact=True))
    assert found[0][0] == 7
    with pytest.raises(InvalidArgument, match=r"ef_search: .*, got 0"):
        docs.search(VECTORS[7], 3, parameters=pb.SearchParameters(ef_search=0))
