"""qdrant-edge: a vector database as a library, the nearest thing to a shard of ours.

One segment when optimised, which is what searches fastest; graphs as in the other libraries; int8 codes
in memory, which a search may use (and compare in full afterwards) or pass over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.index.datasets import Dataset, K
from benchmarks.index.peers import M
from hanax.core.distances import Metric

BATCH: Final = 1_000


def create(folder: Path, data: Dataset, ef_construction: int, codes: bool = False) -> Any:
    """An empty shard. codes: keep int8 codes too."""
    import qdrant_edge as qdrant

    quantisation = qdrant.ScalarQuantizationConfig(
        type=qdrant.ScalarType.Int8, quantile=0.99, always_ram=True
    )
    distance = qdrant.Distance.Cosine if data.metric is Metric.COSINE else qdrant.Distance.Euclid
    place = folder / "qdrant"
    place.mkdir()
    return qdrant.EdgeShard.create(
        str(place),
        qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(size=data.dimension, distance=distance),
            hnsw_config=qdrant.HnswIndexConfig(m=M, ef_construct=ef_construction, full_scan_threshold=10),
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
            quantization_config=quantisation if codes else None,
        ),
    )


def batches(data: Dataset, metadata: Sequence[bytes]) -> list[Any]:
    """Upserts of all rows, ready to be applied."""
    import qdrant_edge as qdrant

    points = [
        qdrant.Point(row, vector.tolist(), orjson.loads(text))
        for row, (vector, text) in enumerate(zip(data.rows, metadata, strict=True))
    ]
    return [
        qdrant.UpdateOperation.upsert_points(points[first : first + BATCH])
        for first in range(0, len(points), BATCH)
    ]


def insert(shard: Any, upserts: Sequence[Any]) -> None:
    """All of them, indexed on return."""
    for upsert in upserts:
        shard.update(upsert)
    shard.flush()
    shard.optimize()
    info = shard.info()
    assert info.indexed_vectors_count == info.points_count, info


class Single:
    """One query a call, with its payload."""

    def __init__(self, shard: Any, data: Dataset, codes: bool) -> None:
        self._shard = shard
        self._codes = codes
        self._queries = [query.tolist() for query in data.queries]

    def search(self, number: int, ef: int) -> list[Any]:
        import qdrant_edge as qdrant

        found: list[Any] = self._shard.search(
            qdrant.SearchRequest(
                query=qdrant.Query.Nearest(self._queries[number]),
                limit=K,
                params=qdrant.SearchParams(
                    hnsw_ef=ef,
                    quantization=qdrant.QuantizationSearchParams(ignore=not self._codes, rescore=True),
                ),
                with_payload=True,
            )
        )
        return found

    def rows(self, answer: list[Any]) -> list[int]:
        return [point.id for point in answer]
