"""Stands for index-shards: what each pod answers at /state, by the routing table that its namespace has."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from typing import Any, Final

from aiohttp import web

from hanax.core.node_state import NodeState, ReplicaState
from hanax.core.routing import CollectionRoute, RoutingTable, ShardRoute
from hanax.core.routing_config_map import from_config_map
from tests.operator.standins.faults import Faults, hits
from tests.operator.standins.informers import Informers

Obj = dict[str, Any]

STATE_PORT: Final = 9201
ROUTING_VARIABLE: Final = "HANAX_ROUTING_CONFIGMAP"


class Shards:
    """One listener on a loopback address for each pod. `data` maps a claim's uid to the collections on it."""

    def __init__(self, seen: Informers, faults: Faults) -> None:
        self._seen = seen
        self._faults = faults
        self._pods: dict[str, Obj] = {}
        self._sites: dict[str, web.TCPSite] = {}
        self._tables: dict[tuple[str, str], tuple[str, RoutingTable]] = {}
        self._generations: dict[tuple[str, str], int] = {}
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self.data: dict[str, set[str]] = {}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/state", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def open(self, pod: Obj) -> str:
        """Listen for a pod; returns its address."""
        assert self._runner is not None
        # Runs beside one another, on one machine, keep to addresses of their own where they can.
        block = os.getpid() % 250 + 1
        for number in self._numbers:
            address = f"127.{block}.{number // 250 % 250}.{number % 250 + 1}"
            site = web.TCPSite(self._runner, address, STATE_PORT)
            try:
                await site.start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self._sites[pod["metadata"]["uid"]] = site
            self._pods[address] = pod
            return address
        raise AssertionError("numbers end")

    async def close(self, pod: Obj) -> None:
        site = self._sites.pop(pod["metadata"]["uid"], None)
        if site is not None:
            await site.stop()
            self._pods = {
                address: known
                for address, known in self._pods.items()
                if known["metadata"]["uid"] != pod["metadata"]["uid"]
            }

    def table(self, pod: Obj) -> RoutingTable | None:
        """The table that the pod follows; None: there is none yet."""
        namespace, name = pod["metadata"]["namespace"], variable(pod, ROUTING_VARIABLE)
        found = self._seen.get("ConfigMap", namespace, name)
        if found is None or "binaryData" not in found:
            return None
        revision = found["metadata"]["resourceVersion"]
        if self._tables.get((namespace, name), ("",))[0] != revision:
            self._tables[namespace, name] = revision, from_config_map(found)
        return self._tables[namespace, name][1]

    def state(self, pod: Obj) -> NodeState:
        table = self.table(pod)
        name = pod["metadata"]["name"]
        if table is None:
            return NodeState(node=name)
        held = self.data.setdefault(self._claim_uid(pod), set())
        held -= {gone.uid for gone in table.deleted}
        replicas = [self._replica(pod, route, shard) for route, shard in table.assigned_to(name)]
        held |= {replica.uid for replica in replicas}
        return NodeState(node=name, revision=table.revision, replicas=tuple(replicas))

    def _replica(self, pod: Obj, route: CollectionRoute, shard: ShardRoute) -> ReplicaState:
        namespace, name = pod["metadata"]["namespace"], route.spec.name
        generation = route.generation
        if hits(self._faults.stale, namespace, name):
            generation = self._generations.get((namespace, route.uid), 1)
        self._generations[namespace, route.uid] = generation
        why = next(
            (why for prefix, why in self._faults.failed.items() if hits((prefix,), namespace, name)), ""
        )
        opening = hits(self._faults.opening, namespace, name)
        points = self._faults.points.get(f"{namespace}/{name}", 0)
        return ReplicaState(
            collection=name,
            uid=route.uid,
            shard=shard.shard,
            generation=generation,
            state="failed" if why else "opening" if opening else "open",
            reason=why,
            points=points,
            sequence=points,
        )

    def _claim_uid(self, pod: Obj) -> str:
        for volume in pod["spec"].get("volumes", ()):
            if name := volume.get("persistentVolumeClaim", {}).get("claimName"):
                claim = self._seen.get("PersistentVolumeClaim", pod["metadata"]["namespace"], name)
                return str(claim["metadata"]["uid"]) if claim else str(name)
        return str(pod["metadata"]["uid"])

    async def _answer(self, request: web.Request) -> web.Response:
        pod = self._asked(request)
        if pod is None:
            return web.Response(status=503)
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if hits(self._faults.state_hangs, namespace, name):
            await asyncio.sleep(60)
        if hits(self._faults.state_broken, namespace, name):
            return web.Response(status=500, text="broken")
        return web.Response(text=self.state(pod).model_dump_json(), content_type="application/json")

    def _asked(self, request: web.Request) -> Obj | None:
        """The pod that listens there; None: it ended while the request was on its way."""
        assert request.transport is not None
        return self._pods.get(request.transport.get_extra_info("sockname")[0])


def variable(pod: Obj, name: str) -> str:
    """The value of an environment variable in the pod's first container; empty where it is not set."""
    for entry in pod["spec"]["containers"][0].get("env", ()):
        if entry["name"] == name:
            return str(entry.get("value", ""))
    return ""
