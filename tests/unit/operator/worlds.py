"""An operator without its loops, on an API server in memory."""

from __future__ import annotations

import random
from typing import Any

from hanax.core.node_state import NodeState
from hanax.core.resources.names import COLLECTION_LABEL
from hanax.core.routing import RoutingTable
from hanax.core.routing_config_map import from_config_map
from hanax_operator.apply import Applier
from hanax_operator.context import Context
from hanax_operator.declarations import Declarations
from hanax_operator.events import Events
from hanax_operator.nodes import NodeStates
from hanax_operator.objects import CONFIG_MAP, key, key_of
from hanax_operator.probes import Probes
from hanax_operator.queue import WorkQueue
from hanax_operator.reconcile.collections import CollectionReconciler
from hanax_operator.reconcile.routing import Publisher
from hanax_operator.status_patch import StatusWriter
from hanax_operator.store import Store
from tests.unit.operator.memory_api import MemoryApi
from tests.unit.operator.samples import NOW_US, child, collection_object, release

TABLE = key(CONFIG_MAP, "hana-x-vector-routing")


class World:
    """`revision`: what the pool's nodes follow. Events of the watch are what a test puts into the store."""

    def __init__(self, api: MemoryApi | None = None) -> None:
        self.api = api or MemoryApi()
        self.revision = 0
        store = Store((COLLECTION_LABEL,))
        self.context = Context(
            release=release(),
            api=self.api.as_api(),
            store=store,
            declarations=Declarations(store),
            applier=Applier(self.api.as_api(), store),
            events=Events(self.api.as_api(), "us", lambda: 0.0, lambda: NOW_US),
            nodes=NodeStates(self._answer, lambda: 0.0, 10.0),
            probes=Probes(_no_probe, lambda: 0.0, lambda: NOW_US, 10.0),
            queue=WorkQueue(lambda: 0.0, random.Random(1)),
            now_us=lambda: NOW_US,
            clock_s=lambda: 0.0,
        )
        self.publisher = Publisher(self.context, random.Random(1))
        pool = child("StatefulSet", "hx-pool", "apps/v1", spec={"replicas": 2, "serviceName": "hx-pool"})
        self.context.store.put(pool)

    def declare(self, name: str, version: int = 10, status: Any = None, **spec: Any) -> None:
        obj = collection_object(name, {"placement": "shared", **spec}, resourceVersion=str(version))
        told = {**obj, "status": status or {}}
        self.api.objects[key_of(told)] = told
        self.context.store.put(told)

    def reconciler(self) -> CollectionReconciler:
        statuses = StatusWriter(self.api.as_api(), self.context.store, self.context.clock_s)
        return CollectionReconciler(self.context, self.publisher, statuses)

    def stored(self) -> RoutingTable:
        return from_config_map(self.api.objects[TABLE])

    def see(self) -> None:
        """The watch tells the ConfigMap as it is."""
        self.context.store.put(self.api.objects[TABLE])

    def woken(self) -> list[str]:
        found = []
        while (taken := self.context.queue.take()[0]) is not None:
            found.append(taken.name)
            self.context.queue.done(taken)
        return sorted(found)

    async def _answer(self, address: str) -> NodeState:
        return NodeState(node="hx-pool-0", revision=self.revision)


async def _no_probe(_model: Any, _url: str) -> str:
    return ""
