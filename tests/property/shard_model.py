"""A shard as a dictionary, and what must hold of a shard that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import orjson

from hanax.core.distances import Metric
from hanax.core.filters import Filter
from hanax.core.ids import hash_of
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.shard import MetadataChange, Points, Projection, Shard
from tests.property.shard_strategies import DIMENSION, Item, Metadata, Vector
from tests.unit.engine import reference

EVERYTHING = Projection(metadata=True, vectors=True, versions=True)


@dataclass(frozen=True)
class Point:
    vector: Vector
    metadata: Metadata
    created_at_us: int
    updated_at_us: int
    version: int
    expires_at_us: int


@dataclass
class Model:
    """Each write is told its time and its sequence."""

    metric: Metric
    points: dict[bytes, Point] = field(default_factory=dict)

    def copy(self) -> Model:
        return Model(self.metric, dict(self.points))

    def upsert(self, batch: Sequence[Item], now_us: int, sequence: int) -> int:
        """Returns how many are new."""
        before = len(self.points)
        for id_, vector, metadata, life_us in batch:
            known = self.points.get(id_)
            created = known.created_at_us if known else now_us
            self.points[id_] = Point(
                vector, metadata, created, now_us, sequence, now_us + life_us if life_us else 0
            )
        return len(self.points) - before

    def expire(self, now_us: int) -> None:
        self.points = {
            id_: point for id_, point in self.points.items() if not 0 < point.expires_at_us <= now_us
        }

    def version(self, id_: bytes) -> int:
        """0 where there is no such point."""
        return self.points[id_].version if id_ in self.points else 0

    def change_metadata(
        self, ids: Sequence[bytes], change: MetadataChange, now_us: int, sequence: int
    ) -> int:
        """Returns how many have other metadata now."""
        updated = 0
        for id_ in ids:
            if known := self.points.get(id_):
                before = orjson.dumps(known.metadata)
                after = change.apply(orjson.loads(before))
                expires = known.expires_at_us if change.expires_at_us is None else change.expires_at_us
                if orjson.dumps(after) != before or expires != known.expires_at_us:
                    updated += 1
                    self.points[id_] = Point(
                        known.vector, after, known.created_at_us, now_us, sequence, expires
                    )
        return updated

    def update_metadata(
        self, ids: Sequence[bytes], patches: Sequence[Metadata], replaced: bool, now_us: int, sequence: int
    ) -> list[bytes]:
        """Returns those that are missing."""
        missing = []
        for id_, patch in zip(ids, patches, strict=True):
            known = self.points.get(id_)
            if known is None:
                missing.append(id_)
                continue
            metadata = patch if replaced else known.metadata | patch
            self.points[id_] = replace(known, metadata=metadata, updated_at_us=now_us, version=sequence)
        return missing

    def delete(self, ids: Sequence[bytes]) -> int:
        return sum(self.points.pop(id_, None) is not None for id_ in ids)

    def matching(self, expression: Filter | None) -> dict[bytes, Point]:
        if expression is None:
            return self.points
        matches = compile_filter(expression)
        return {id_: point for id_, point in self.points.items() if matches(point.metadata, id_)}

    def in_scroll_order(self, expression: Filter | None = None) -> list[bytes]:
        return sorted(self.matching(expression), key=lambda id_: (hash_of(id_), id_))

    # What must hold of the shard.

    def check_points(self, found: Points) -> None:
        """Each of these points is as it should be."""
        assert found.metadata is not None
        assert found.vectors is not None
        assert found.versions is not None
        for place, id_ in enumerate(found.ids):
            point = self.points[id_]
            assert orjson.loads(found.metadata[place]) == point.metadata
            assert found.vectors[place].tolist() == point.vector.tolist()
            assert found.created_at_us[place] == point.created_at_us
            assert found.updated_at_us[place] == point.updated_at_us
            assert found.versions[place] == point.version
            expires_at_us = 0 if found.expires_at_us is None else found.expires_at_us[place]
            assert expires_at_us == point.expires_at_us

    def check_scroll(self, shard: Shard, limit: int, expression: Filter | None) -> None:
        """All pages together are all points that match, in order."""
        expected = self.in_scroll_order(expression)
        after: bytes | None = None
        for first in range(0, max(1, len(expected)), limit):
            page, more = shard.scroll(after, limit, expression, EVERYTHING)
            assert page.ids == expected[first : first + limit]
            assert more is (first + limit < len(expected))
            self.check_points(page)
            after = page.ids[-1] if page.ids else None

    def check_get(self, shard: Shard, ids: Sequence[bytes]) -> None:
        found = shard.get(ids, EVERYTHING)
        assert found.ids == [id_ for id_ in ids if id_ in self.points]
        self.check_points(found)

    def check_search(
        self, shard: Shard, queries: Sequence[Vector], limit: int, expression: Filter | None
    ) -> None:
        """The same as a comparison with every point; ties are fair, and told by id."""
        matching = self.matching(expression)
        rows = np.array([point.vector for point in matching.values()], np.float32).reshape(-1, DIMENSION)
        results = shard.search(np.array(queries), limit, expression=expression, projection=EVERYTHING)
        for query, hits in zip(queries, results, strict=True):
            exact = reference.distances(self.metric, query, rows)
            expected = dict(zip(matching, exact.tolist(), strict=True))
            found = list(zip(hits.points.ids, hits.distances.tolist(), strict=True))
            reference.assert_nearest(found, expected, limit, reference.tolerance(self.metric, query, rows))
            order = [(distance, id_) for id_, distance in found]
            assert order == sorted(order)
            self.check_points(hits.points)

    def check(self, shard: Shard) -> None:
        """Everything at once, but for filters."""
        assert shard.count() == shard.stats().points == len(self.points)
        self.check_scroll(shard, 1_000, None)
