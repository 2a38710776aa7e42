"""One namespace with a release in it: what tests ask for, and what they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from hanax.core.resources.names import GROUP, VERSION
from hanax.core.routing import RoutingTable
from hanax.core.routing_config_map import from_config_map
from tests.operator import operators
from tests.operator.api import Api
from tests.operator.clusters import GROWING, Cluster
from tests.operator.gate import Gate
from tests.operator.operators import OperatorProcess
from tests.operator.waiting import until

Obj = dict[str, Any]
T = TypeVar("T")

API_VERSION: Final = f"{GROUP}/{VERSION}"
RELEASE: Final = "hxv"
ROUTING: Final = f"{RELEASE}-routing"
ALIASES: Final = f"{RELEASE}-aliases"
POOL: Final = f"{RELEASE}-pool"
# What the operator makes, and what the cluster makes of it.
CHILDREN: Final = ("StatefulSet", "Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")
# Far longer than it takes: the machine may have much else to do.
READY_S: Final = 60.0


@dataclass
class Home:
    cluster: Cluster
    api: Api
    namespace: str
    folder: Path
    _running: list[tuple[Gate, asyncio.Task[None]]] = field(default_factory=list)
    _last: Any = None

    def variables(self, **more: Any) -> dict[str, Any]:
        """The operator's, of this release."""
        known = {
            "NAMESPACE": self.namespace,
            "RELEASE_NAME": RELEASE,
            "ROUTING_CONFIG_MAP": ROUTING,
            "ALIASES_CONFIG_MAP": ALIASES,
            "POOL_STATEFUL_SET": POOL,
            "SHARD_IMAGE": "localhost/server:1",
            "EMBEDDER_IMAGE": "localhost/embedder:1",
            "DEFAULT_STORAGE_SIZE": "1Gi",
            "DEFAULT_STORAGE_CLASS": GROWING,
        }
        return {**known, **more}

    @asynccontextmanager
    async def operator(self, **variables: Any) -> AsyncIterator[Gate]:
        """An operator inside this process, behind a gate of its own."""
        async with (
            Gate(self.cluster.access) as gate,
            operators.inside(gate, self.folder, self.variables(**variables)) as running,
        ):
            self._running.append((gate, running))
            try:
                yield gate
            finally:
                self._running.remove((gate, running))

    async def until(self, found: Callable[[], Awaitable[T]], what: str, within_s: float = READY_S) -> T:
        """As waiting.until; an operator that ends while it should run ends the waiting."""

        async def asked() -> T:
            for gate, running in self._running:
                if running.done() and not gate.fallen.is_set():
                    raise AssertionError("the operator has ended") from running.exception()
            return await found()

        return await until(asked, what, within_s)

    @asynccontextmanager
    async def process(self, **variables: Any) -> AsyncIterator[tuple[Gate, OperatorProcess]]:
        """An operator as a process, behind a gate of its own."""
        async with Gate(self.cluster.access) as gate:
            process = OperatorProcess(gate, self.folder, self.variables(**variables))
            await process.start()
            try:
                yield gate, process
            finally:
                await process.end()

    async def collect(self, name: str, **spec: Any) -> Obj:
        """Create a VectorCollection."""
        return await self.api.create(collection(name, **spec), self.namespace)

    async def model(self, name: str, **spec: Any) -> Obj:
        """Create an ExternalModel."""
        body = {"apiVersion": API_VERSION, "kind": "ExternalModel", "metadata": {"name": name}, "spec": spec}
        return await self.api.create(body, self.namespace)

    async def change(self, name: str, spec: Mapping[str, Any], kind: str = "VectorCollection") -> Obj:
        return await self.api.merge(kind, name, {"spec": dict(spec)}, self.namespace)

    async def get(self, kind: str, name: str) -> Obj:
        return await self.api.get(kind, name, self.namespace)

    async def find(self, kind: str, name: str) -> Obj | None:
        return await self.api.find(kind, name, self.namespace)

    async def ready(self, name: str, kind: str = "VectorCollection", within_s: float = READY_S) -> Obj:
        """Wait until the object says that it is ready as it is declared now."""
        return await self.says(name, "Ready", "True", kind=kind, within_s=within_s)

    async def says(
        self,
        name: str,
        condition: str,
        status: str,
        *,
        reason: str = "",
        kind: str = "VectorCollection",
        within_s: float = READY_S,
    ) -> Obj:
        """Wait for a condition that is about the object's present generation."""

        async def told() -> Obj | None:
            obj = await self.get(kind, name)
            found = condition_of(obj, condition)
            now = (
                found is not None and obj["status"].get("observedGeneration") == obj["metadata"]["generation"]
            )
            if now and found is not None and found["status"] == status and reason in ("", found["reason"]):
                return obj
            self._last = obj.get("status")
            return None

        try:
            obj = await self.until(told, f"{kind} {name} says {condition} {status} {reason}", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; status: {self._last}") from None
        assert obj is not None
        return obj

    async def gone(self, kind: str, name: str, within_s: float = READY_S) -> None:
        async def away() -> bool:
            return await self.find(kind, name) is None

        await self.until(away, f"{kind} {name} is gone", within_s)

    async def there(self, kind: str, name: str, within_s: float = READY_S) -> Obj:
        async def found() -> Obj | None:
            return await self.find(kind, name)

        obj = await self.until(found, f"{kind} {name} is there", within_s)
        assert obj is not None
        return obj

    async def table(self) -> RoutingTable:
        return from_config_map(await self.get("ConfigMap", ROUTING))

    async def quiet(self, gate: Gate, for_s: float = 1.5, within_s: float = READY_S) -> None:
        """Wait until the operator has written nothing for a while."""
        loop = asyncio.get_running_loop()
        ends, seen, since = loop.time() + within_s, -1, loop.time()
        while loop.time() - since < for_s:
            if len(gate.changes) != seen:
                seen, since = len(gate.changes), loop.time()
            assert loop.time() < ends, f"the operator does not come to rest: {gate.changes[-5:]}"
            await asyncio.sleep(0.05)

    async def events(self, name: str, kind: str = "VectorCollection") -> list[Obj]:
        found = await self.api.list("Event", self.namespace)
        return [
            event
            for event in found
            if (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == (kind, name)
        ]

    async def told(self, name: str, reason: str, kind: str = "VectorCollection") -> Obj:
        """Wait for an event about an object."""

        async def found() -> Obj | None:
            return next((event for event in await self.events(name, kind) if event["reason"] == reason), None)

        event = await self.until(found, f"an event {reason} of {kind} {name}")
        assert event is not None
        return event

    async def pool(self, replicas: int, storage_class: str = GROWING) -> None:
        """The release's shard pool, as the chart makes it."""
        labels = {
            "app.kubernetes.io/name": "hana-x-vector",
            "app.kubernetes.io/managed-by": "hanax-operator",
            "app.kubernetes.io/component": "shard",
            f"{GROUP}/pool": POOL,
        }
        own = {**labels, "app.kubernetes.io/managed-by": "Helm"}
        service = {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {f"{GROUP}/pool": POOL},
            "ports": [{"name": "grpc", "port": 9101}],
        }
        await self.api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": POOL, "labels": own},
                "spec": service,
            },
            self.namespace,
        )
        container = {
            "name": "shard",
            "image": "localhost/server:1",
            "env": [
                {"name": "HANAX_ROUTING_CONFIGMAP", "value": ROUTING},
                {"name": "HANAX_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
        }
        claim = {
            "metadata": {"name": "data", "labels": {"app.kubernetes.io/name": "hana-x-vector"}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage_class,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        spec = {
            "replicas": replicas,
            "serviceName": POOL,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {f"{GROUP}/pool": POOL}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [claim],
        }
        await self.api.create(
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": POOL, "labels": own},
                "spec": spec,
            },
            self.namespace,
        )


def collection(name: str, **spec: Any) -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": "VectorCollection",
        "metadata": {"name": name},
        "spec": {"dimensions": 4, **spec},
    }


def condition_of(obj: Obj, kind: str) -> Obj | None:
    found = (entry for entry in obj.get("status", {}).get("conditions", ()) if entry["type"] == kind)
    return next(found, None)
