"""chromadb in the process, with its own where clauses and the graph and effort that it takes itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chroma_collections import filled
from benchmarks.filter.cases import Expression, Points
from benchmarks.index.datasets import K
from hanax.core.filters import And, Condition


class _Searcher:
    def __init__(self, collection: Any, points: Points) -> None:
        self._collection, self._queries = collection, points.data.queries

    def prepare(self, expression: Expression) -> dict[str, Any]:
        if isinstance(expression, And):
            return {"$and": [self.prepare(_condition(child)) for child in expression.children]}
        return {".".join(expression.path): {f"${expression.operator.value}": expression.value}}

    def set_effort(self, effort: int | None) -> None:
        pass

    def search(self, number: int, filter: dict[str, Any], effort: int | None) -> Any:
        return self._collection.query(
            query_embeddings=self._queries[number : number + 1],
            n_results=K,
            where=filter,
            include=["metadatas", "distances"],
        )

    def rows(self, answer: Any) -> list[int]:
        return [int(id_) for id_ in answer["ids"][0]]


def _condition(filter: Any) -> Condition:
    assert isinstance(filter, Condition)
    return filter


@contextmanager
def opened(points: Points, folder: Path) -> Iterator[_Searcher]:
    import chromadb

    place = folder / "chroma"
    client = chromadb.PersistentClient(
        str(place), settings=chromadb.Settings(anonymized_telemetry=False, allow_reset=True)
    )
    yield _Searcher(filled(client, points.data.rows, points.metadata), points)
    client.reset()
