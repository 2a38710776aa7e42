"""A shard with the things that it needs around it, opened and closed as one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.engine.shard import Background, Deleted, Projection, Schema, Shard, ShardOptions, Upserted

EVERYTHING = Projection(metadata=True, vectors=True)
# Nothing is sealed by itself.
LARGE = ShardOptions()
DEADLINE_S = 30.0


class Clock:
    """Microseconds that go on by one at every look."""

    def __init__(self) -> None:
        self.now_us = 1_000

    def __call__(self) -> int:
        self.now_us += 1
        return self.now_us


def wait_until(what: str, ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not ready():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S} s"
        time.sleep(0.002)


class Rig:
    """One shard in `folder`, with a background of its own. `with` closes both."""

    def __init__(
        self,
        folder: Path,
        schema: Schema | None = None,
        options: ShardOptions = LARGE,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.folder = folder
        self.schema = schema or Schema.single(2, Metric.EUCLIDEAN)
        self.options = options
        self.clock = clock or Clock()
        self.open()

    def open(self) -> None:
        self.background = Background(2)
        try:
            self.shard = Shard.open(self.folder, self.schema, self.options, self.background, self.clock)
        except BaseException:
            self.background.close()
            raise

    def close(self) -> None:
        self.shard.close()
        self.background.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The shard, spoken to in ids and dictionaries.

    def upsert(
        self,
        ids: Sequence[PointId],
        vectors: Sequence[Sequence[float]] | NDArray[Any] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> Upserted:
        """Without vectors, a point lies where its number says."""
        if vectors is None:
            vectors = [[float(hash(id_) % 1_000), 1.0] for id_ in ids]
        blobs = [json.dumps(item).encode() for item in metadata or [{}] * len(ids)]
        rows = {"default": np.asarray(vectors, np.float32)}
        return self.shard.upsert([encode_id(id_) for id_ in ids], rows, blobs)

    def delete(self, ids: Sequence[PointId]) -> Deleted:
        return self.shard.delete([encode_id(id_) for id_ in ids])

    def get(self, ids: Iterable[PointId]) -> dict[PointId, Any]:
        """Metadata by id."""
        points = self.shard.get([encode_id(id_) for id_ in ids])
        assert points.metadata is not None
        return {
            decode_id(id_): json.loads(blob) for id_, blob in zip(points.ids, points.metadata, strict=True)
        }

    def ids(self) -> list[PointId]:
        """All live ids in scroll order, by small pages."""
        found: list[PointId] = []
        after: bytes | None = None
        more = True
        while more:
            points, more = self.shard.scroll(after, 7)
            found.extend(map(decode_id, points.ids))
            after = points.ids[-1] if points.ids else None
        return found

    def search(self, query: Sequence[float], limit: int = 10) -> list[tuple[PointId, float]]:
        (hits,) = self.shard.search(np.asarray([query], np.float32), limit)
        return list(zip(map(decode_id, hits.points.ids), hits.distances.tolist(), strict=True))
