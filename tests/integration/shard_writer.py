"""A process that writes to a shard until it is killed, and tells what it was about to do and what was acknowledged.

Each thread owns its ids and works alone on them, so at any moment at most one write per thread is
without an answer.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import Overloaded
from hanax.core.ids import encode_id
from hanax.engine.shard import Background, Projection, Schema, Shard, ShardOptions

THREADS = 3
IDS_PER_THREAD = 60
DIMENSION = 8
SCHEMA = Schema.single(DIMENSION, Metric.EUCLIDEAN)
# So small that kills fall into sealing, merging and manifests as often as into the log.
OPTIONS = ShardOptions(segment_max_rows=64, segment_max_bytes=1 << 20, log_max_bytes=1 << 16)

# Points of one thread: id to (version of the vector, version of the metadata).
Versions = dict[bytes, tuple[int, int]]


@dataclass(frozen=True)
class Change:
    """One write: `kind` is upsert, metadata or delete; `version` is new with every write."""

    kind: str
    ids: list[bytes]
    version: int

    def applied_to(self, before: Versions) -> Versions:
        after = dict(before)
        for id_ in self.ids:
            if self.kind == "upsert":
                after[id_] = (self.version, self.version)
            elif self.kind == "delete":
                after.pop(id_, None)
            elif id_ in after:
                after[id_] = (after[id_][0], self.version)
        return after


@dataclass
class Told:
    """What one thread told before it was killed."""

    acknowledged: list[Change] = field(default_factory=list)
    unanswered: Change | None = None


def ids_of(thread: int) -> list[bytes]:
    return [encode_id(f"{thread}/{number}") for number in range(IDS_PER_THREAD)]


def vector_of(id_: bytes, version: int) -> NDArray[np.float32]:
    return np.random.default_rng([version, *id_]).standard_normal(DIMENSION, np.float32)


def metadata_of(version: int) -> bytes:
    return orjson.dumps({"version": version})


def write_until_killed(folder: Path, seed: int, told: Connection) -> None:
    background = Background(2)
    shard = Shard.open(folder, SCHEMA, OPTIONS, background, lambda: time.time_ns() // 1_000)
    lock = threading.Lock()

    def tell(*message: object) -> None:
        with lock:
            told.send(message)

    def work(thread: int) -> None:
        chance = random.Random(f"{seed}/{thread}")
        own = ids_of(thread)
        for turn in range(1_000_000):
            kind = chance.choice(["upsert", "upsert", "upsert", "metadata", "delete"])
            ids = chance.sample(own, chance.randint(1, 30))
            change = Change(kind, ids, (seed << 20) + turn)
            tell("begin", thread, change)
            try:
                _write(shard, change)
            except Overloaded:
                tell("refused", thread)
            else:
                tell("done", thread)

    tell("open")
    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _write(shard: Shard, change: Change) -> None:
    metadata = [metadata_of(change.version)] * len(change.ids)
    if change.kind == "upsert":
        vectors = np.stack([vector_of(id_, change.version) for id_ in change.ids])
        shard.upsert(change.ids, {"default": vectors}, metadata)
    elif change.kind == "metadata":
        shard.update_metadata(change.ids, metadata, replace=True)
    else:
        shard.delete(change.ids)


def read_versions(shard: Shard, candidates: dict[bytes, set[int]]) -> Versions:
    """Every point of the shard. Fails when a point is there twice, torn, or was never written.

    candidates: versions that a point's vector may have.
    """
    found: Versions = {}
    after: bytes | None = None
    more = True
    while more:
        points, more = shard.scroll(after, 50, projection=Projection(metadata=True, vectors=True))
        assert points.metadata is not None and points.vectors is not None
        for id_, blob, vector in zip(points.ids, points.metadata, points.vectors, strict=True):
            assert id_ not in found, f"{id_!r} comes twice"
            versions = [
                version for version in candidates[id_] if np.array_equal(vector_of(id_, version), vector)
            ]
            assert len(versions) == 1, f"{id_!r} has a vector that nobody wrote"
            found[id_] = (versions[0], orjson.loads(blob)["version"])
            after = id_
    return found
