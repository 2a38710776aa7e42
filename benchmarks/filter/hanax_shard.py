"""The engine, as it comes: one sealed segment with its indexes, searched through the shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.filter.cases import Expression, Points
from benchmarks.index import ours
from benchmarks.index.datasets import K
from hanax.core.ids import encode_id
from hanax.core.index_specs import Indexing
from hanax.engine.points import Hits
from hanax.engine.shard import Shard


class _Searcher:
    def __init__(self, shard: Shard, points: Points) -> None:
        self._shard, self._queries = shard, points.data.queries

    def prepare(self, expression: Expression) -> Expression:
        return expression

    def set_effort(self, effort: int | None) -> None:
        pass

    def search(self, number: int, filter: Expression, effort: int | None) -> Sequence[Hits]:
        return self._shard.search(self._queries[number : number + 1], K, expression=filter)

    def rows(self, answer: Sequence[Hits]) -> list[int]:
        found: list[int] = ours.rows_of(answer)[0].tolist()
        return [row for row in found if row >= 0]


@contextmanager
def opened(points: Points, folder: Path) -> Iterator[_Searcher]:
    ids = [encode_id(row) for row in range(len(points.data.rows))]
    with ours.open_shard(folder, points.data, ours.one_segment(Indexing())) as shard:
        ours.insert(shard, points.data, ids, points.encoded)
        shard.compact()
        ours.wait_until_indexed(shard)
        yield _Searcher(shard, points)
