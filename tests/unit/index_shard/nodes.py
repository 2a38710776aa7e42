"""A node's replicas, on a real folder."""

from __future__ import annotations

import threading
from pathlib import Path

from hanax.core.routing import RoutingTable
from hanax.core.specs import CollectionSpec
from hanax.engine.schema import Schema
from hanax.engine.shard.background import Background
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.shard import Shard
from hanax.index_shard.folders import DataFolder
from hanax.index_shard.replicas import Replicas

DEADLINE_S = 20.0


class Node:
    """`trouble` is raised instead of opening a collection's shards; unless `gate` is set none is opened."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trouble: dict[str, Exception] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.opened: list[str] = []
        self.settled = threading.Semaphore(0)
        self.background = Background(1)
        self.folder = DataFolder(root)
        self.replicas = Replicas("me", self.folder, self._open, self.settled.release)

    def _open(self, folder: Path, spec: CollectionSpec) -> Shard:
        assert self.gate.wait(DEADLINE_S)
        if trouble := self.trouble.get(spec.name):
            raise trouble
        self.opened.append(spec.name)
        schema = Schema.single(spec.dimension, spec.metric)
        return Shard.open(folder, schema, ShardOptions(), self.background, lambda: 1)

    def follow(self, wanted: RoutingTable) -> None:
        """Return when the table has been applied."""
        self.replicas.follow(wanted)
        assert self.settled.acquire(timeout=DEADLINE_S)

    def shard(self, name: str, number: int = 0) -> Shard:
        return self.replicas.find(name, f"uid-{name}", number)[0]

    def close(self) -> None:
        self.replicas.close()
        self.background.close()
        self.folder.close()
