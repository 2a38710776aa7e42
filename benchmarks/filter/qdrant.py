"""qdrant-edge: one optimised segment, a payload index for each field that is filtered on.

The graph is as it comes. Payload indexes are made before the points, so that the graph gets the links
that filtered searches walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.filter.cases import INTEGER_FIELD, KEYWORD_FIELDS, Expression, Points
from benchmarks.index import qdrant
from benchmarks.index.datasets import K
from hanax.core.filters import And, Condition, Operator

EFS: Final = (8, 16, 32, 64, 128, 256, 512)


class _Searcher:
    def __init__(self, shard: Any, points: Points) -> None:
        self._shard = shard
        self._queries = [query.tolist() for query in points.data.queries]

    def prepare(self, expression: Expression) -> Any:
        import qdrant_edge

        conditions = expression.children if isinstance(expression, And) else (expression,)
        must, must_not = [], []
        bounds: dict[str, dict[str, float]] = {}
        for condition in conditions:
            assert isinstance(condition, Condition)
            field = ".".join(condition.path)
            match condition.operator, condition.value:
                case Operator.EQ, str(value):
                    must.append(qdrant_edge.FieldCondition(field, match=qdrant_edge.MatchValue(value)))
                case Operator.NE, str(value):
                    must_not.append(qdrant_edge.FieldCondition(field, match=qdrant_edge.MatchValue(value)))
                case (Operator.GTE | Operator.LT) as operator, int(value):
                    bounds.setdefault(field, {})[operator.value] = float(value)
                case _:
                    raise ValueError(condition)
        must += [
            qdrant_edge.FieldCondition(field, range=qdrant_edge.RangeFloat(**given))
            for field, given in bounds.items()
        ]
        return qdrant_edge.Filter(must=must or None, must_not=must_not or None)

    def set_effort(self, effort: int | None) -> None:
        pass

    def search(self, number: int, filter: Any, effort: int | None) -> list[Any]:
        import qdrant_edge

        found: list[Any] = self._shard.search(
            qdrant_edge.SearchRequest(
                query=qdrant_edge.Query.Nearest(self._queries[number]),
                filter=filter,
                limit=K,
                params=qdrant_edge.SearchParams(hnsw_ef=effort),
                with_payload=True,
            )
        )
        return found

    def rows(self, answer: list[Any]) -> list[int]:
        return [point.id for point in answer]


@contextmanager
def opened(points: Points, folder: Path) -> Iterator[_Searcher]:
    import qdrant_edge

    place = folder / "qdrant"
    place.mkdir()
    shard = qdrant_edge.EdgeShard.create(
        str(place),
        qdrant_edge.EdgeConfig(
            vectors=qdrant_edge.EdgeVectorParams(
                size=points.data.dimension, distance=qdrant_edge.Distance.Cosine
            ),
            optimizers=qdrant_edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
        ),
    )
    try:
        index = qdrant_edge.UpdateOperation.create_field_index
        for field in KEYWORD_FIELDS:
            shard.update(index(field, qdrant_edge.PayloadSchemaType.Keyword))
        shard.update(index(INTEGER_FIELD, qdrant_edge.PayloadSchemaType.Integer))
        qdrant.insert(shard, qdrant.batches(points.data, points.encoded))
        yield _Searcher(shard, points)
    finally:
        shard.close()
