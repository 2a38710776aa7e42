"""The engine, through the calls that the services use: a shard, written, sealed, indexed, reopened.

Full vectors stay in the segment's files, mapped; the index is what is counted as memory.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.index.contestants import Built, Contestant
from benchmarks.index.datasets import Dataset, K
from benchmarks.index.peers import EF_CONSTRUCTION, GRAPH_EFFORTS, M
from hanax.core.ids import encode_id
from hanax.core.index_specs import (
    FlatIndex,
    HnswIndex,
    Indexing,
    IvfIndex,
    NoQuantisation,
    ProductQuantisation,
    ScalarQuantisation,
    SearchParameters,
)
from hanax.engine.points import Hits, Projection
from hanax.engine.schema import Schema
from hanax.engine.shard import Background, Shard, ShardOptions

BATCH: Final = 1_000
INDEXING_TIMEOUT_S: Final = 900.0
_FEW_ROWS: Final = 2_000
IDS_ONLY: Final = Projection(metadata=False)
_PROBES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)


def points_of(data: Dataset) -> tuple[list[bytes], list[bytes]]:
    """Ids, the rows' numbers, and metadata: small JSON objects, as documents have."""
    count = len(data.rows)
    metadata = [
        orjson.dumps(
            {"title": f"document {row}", "year": 1990 + row % 35, "language": ("en", "de", "fr")[row % 3]}
        )
        for row in range(count)
    ]
    return [encode_id(row) for row in range(count)], metadata


def one_segment(indexing: Indexing) -> ShardOptions:
    """Nothing is sealed before it is asked for, so that one index is built, once, on one thread."""
    return ShardOptions(
        segment_max_rows=2**30,
        segment_max_bytes=2**40,
        log_max_bytes=2**40,
        indexing=indexing,
        build_threads=1,
    )


@contextmanager
def open_shard(folder: Path, data: Dataset, options: ShardOptions, threads: int = 1) -> Iterator[Shard]:
    """threads: of upkeep."""
    background = Background(threads)
    shard = Shard.open(
        folder / "shard",
        Schema.single(data.dimension, data.metric),
        options,
        background,
        lambda: time.time_ns() // 1000,
    )
    try:
        yield shard
    finally:
        shard.close()
        background.close()


def insert(shard: Shard, data: Dataset, ids: Sequence[bytes], metadata: Sequence[bytes]) -> None:
    """All points, each batch durable before the next."""
    for first in range(0, len(ids), BATCH):
        batch = slice(first, first + BATCH)
        shard.upsert(ids[batch], {"default": data.rows[batch]}, metadata[batch])


def wait_until_indexed(shard: Shard) -> None:
    """Raises RuntimeError with what the shard says of its indexes when one is not built."""
    if not shard.wait_until_indexed(INDEXING_TIMEOUT_S):
        raise RuntimeError(f"not indexed after {INDEXING_TIMEOUT_S} s: {shard.stats().indexes}")
    if missing := [index for index in shard.stats().indexes if index.state != "built"]:
        raise RuntimeError(f"not indexed: {missing}")


def rows_of(hits: Sequence[Hits]) -> NDArray[np.int64]:
    """Row numbers from integer ids (a tag and 8 bytes, the highest first): int64[q, K], -1 where missing."""
    rows = np.full((len(hits), K), -1, np.int64)
    for place, hit in enumerate(hits):
        ids = np.frombuffer(b"".join(hit.points.ids), np.uint8).reshape(-1, 9)
        rows[place, : len(ids)] = np.ascontiguousarray(ids[:, 1:]).view(">u8")[:, 0]
    return rows


class ShardSearcher:
    """All queries in one call of the shard."""

    def __init__(self, data: Dataset, folder: Path, indexing: Indexing) -> None:
        self._data = data
        self._opened = open_shard(folder, data, one_segment(indexing))
        self._shard = self._opened.__enter__()
        wait_until_indexed(self._shard)

    def search(self, effort: SearchParameters) -> Sequence[Hits]:
        return self._shard.search(self._data.queries, K, projection=IDS_ONLY, parameters=effort)

    def rows(self, answer: Sequence[Hits]) -> NDArray[np.int64]:
        return rows_of(answer)

    def close(self) -> None:
        self._opened.__exit__(None, None, None)


@dataclass(frozen=True)
class _Configuration:
    indexing: Indexing

    def build(self, data: Dataset, folder: Path) -> Built:
        """Timed: sealing, building, and measuring its recall. A small one first: it loads the kernels."""
        with tempfile.TemporaryDirectory() as small:
            few = replace(data, rows=data.rows[:_FEW_ROWS])
            self._build(few, Path(small))
        return self._build(data, folder)

    def _build(self, data: Dataset, folder: Path) -> Built:
        built = Built(counted="arrays of the index; full vectors stay on disk, mapped")
        with open_shard(folder, data, one_segment(self.indexing)) as shard:
            insert(shard, data, *points_of(data))
            with built.timed():
                shard.compact()
                wait_until_indexed(shard)
            stats = shard.stats()
        built.bytes = stats.index_memory_bytes
        built.about = {"indexes": [asdict(index) for index in stats.indexes]}
        return built

    def open(self, data: Dataset, folder: Path) -> ShardSearcher:
        return ShardSearcher(data, folder, self.indexing)


def ladder_of(type_: str) -> Sequence[SearchParameters]:
    """Efforts of an index of this type, from the cheapest up."""
    match type_:
        case "hnsw":
            return [SearchParameters(ef_search=ef) for ef in GRAPH_EFFORTS]
        case "ivf":
            return [SearchParameters(nprobe=nprobe) for nprobe in _PROBES]
        case _:
            return [SearchParameters(exact=True)]


def _contestant(name: str, indexing: Indexing) -> Contestant:
    configuration, ladder = _Configuration(indexing), ladder_of(indexing.index.type)
    return Contestant(
        f"hanax {name}", "hanax", lambda data: [ladder], configuration.build, configuration.open
    )


GRAPH: Final = HnswIndex(m=M, ef_construction=EF_CONSTRUCTION)

INDEXINGS: Final[dict[str, Indexing]] = {
    "ivf product": Indexing(index=IvfIndex(), quantisation=ProductQuantisation()),
    "hnsw int8": Indexing(index=GRAPH, quantisation=ScalarQuantisation()),
    "hnsw none": Indexing(index=GRAPH, quantisation=NoQuantisation()),
    "flat": Indexing(index=FlatIndex()),
}

CONTESTANTS: Final = tuple(_contestant(name, indexing) for name, indexing in INDEXINGS.items())
