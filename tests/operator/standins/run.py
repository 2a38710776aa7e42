"""Runs the stand-ins: one queue, each object looked at when something about it changes."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import Any, Final

import aiohttp

from tests.operator.api import Api, Refused
from tests.operator.standins import garbage
from tests.operator.standins.faults import Faults
from tests.operator.standins.garbage import Garbage
from tests.operator.standins.informers import Informers, Key
from tests.operator.standins.kubelet import Kubelet
from tests.operator.standins.provisioner import Provisioner
from tests.operator.standins.shards import Shards
from tests.operator.standins.volumes import Volumes
from tests.operator.standins.workloads import Deployments, StatefulSets

Obj = dict[str, Any]

OWNERS: Final = ("VectorCollection", "ExternalModel")
WORKERS: Final = 8
BEAT_S: Final = 10.0
RETRY_S: Final = 0.2


class StandIns:
    """`controllers`: also those of kube-controller-manager; without, only the node's and the volumes'."""

    def __init__(self, api: Api, *, controllers: bool, faults: Faults) -> None:
        kinds = dict.fromkeys((*garbage.KINDS, *OWNERS, "StorageClass", "Secret"))
        if not controllers:
            kinds["PersistentVolume"] = None
        self._seen = Informers(api, tuple(kinds), self._note)
        self.shards = Shards(self._seen, faults)
        self._controllers = controllers
        self._kubelet = Kubelet(api, self._seen, self.shards, faults)
        self._garbage = Garbage(api, self._seen)
        self._volumes = Volumes(api, self._seen, faults)
        self._provisioner = Provisioner(api, self._seen, faults)
        self._sets = StatefulSets(api, self._seen)
        self._deployments = Deployments(api, self._seen)
        self._queue: asyncio.Queue[tuple[str, Key]] = asyncio.Queue()
        self._queued: set[tuple[str, Key]] = set()
        self._busy: set[tuple[str, Key]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: dict[Key, Obj] = {}
        self.failures: list[str] = []

    async def start(self) -> None:
        await self.shards.start()
        await self._kubelet.start()
        await self._seen.start()
        self._tasks = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._beat()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._seen.stop()
        await self._kubelet.stop()
        await self._provisioner.stop()
        await self.shards.stop()

    def look_again(self) -> None:
        """At everything: a fault has come or gone."""
        for kind in ("PersistentVolumeClaim", "Pod"):
            for obj in self._seen.all(kind):
                self._add("main", (kind, obj["metadata"]["namespace"], obj["metadata"]["name"]))

    def _note(self, key: Key, before: Obj | None, after: Obj | None) -> None:
        kind, namespace, _ = key
        obj = after or before
        assert obj is not None
        if after is not None:
            self._add("main", key)
        if after is None or before is None or "deletionTimestamp" in after["metadata"]:
            self._add("garbage", key)
        if after is None:
            for dependent in self._garbage.dependents(obj["metadata"]["uid"], namespace):
                self._add("garbage", dependent)
            for owner in obj["metadata"].get("ownerReferences", ()):
                self._add("garbage", (owner["kind"], namespace, owner["name"]))
        if kind == "Pod":
            self._note_pod(key, obj, gone=after is None)
        elif kind in ("PersistentVolumeClaim", "Secret"):
            self._add_pods(namespace)
        elif kind == "StorageClass":
            self._add_claims()
        elif kind == "ConfigMap" and (before is None or after is None):
            self._add_pods(namespace)

    def _note_pod(self, key: Key, pod: Obj, *, gone: bool) -> None:
        namespace = key[1]
        for owner in pod["metadata"].get("ownerReferences", ()):
            self._add("main", (owner["kind"], namespace, owner["name"]))
        if gone:
            self._add("ended", key)
            self._ended[key] = pod
            for volume in pod["spec"].get("volumes", ()):
                if claim := volume.get("persistentVolumeClaim", {}).get("claimName"):
                    self._add("main", ("PersistentVolumeClaim", namespace, claim))

    def _add_claims(self) -> None:
        for claim in self._seen.all("PersistentVolumeClaim"):
            name = claim["metadata"]["name"]
            self._add("main", ("PersistentVolumeClaim", claim["metadata"]["namespace"], name))

    def _add_pods(self, namespace: str) -> None:
        for pod in self._seen.all("Pod", namespace):
            self._add("main", ("Pod", namespace, pod["metadata"]["name"]))

    def _add(self, task: str, key: Key) -> None:
        if task == "garbage" and not self._controllers:
            return
        if (task, key) not in self._queued:
            self._queued.add((task, key))
            self._queue.put_nowait((task, key))

    async def _work(self) -> None:
        while True:
            task, key = await self._queue.get()
            self._queued.discard((task, key))
            if (task, key) in self._busy:
                self._add_later(task, key, 0.01)
                continue
            self._busy.add((task, key))
            try:
                after_s = await self._look(task, key)
                if after_s is not None:
                    self._add_later(task, key, after_s)
            except (Refused, OSError, aiohttp.ClientError) as error:
                if isinstance(error, Refused) and error.code in (400, 422, 500):
                    self.failures.append(f"{key}: {error}")
                self._add_later(task, key, RETRY_S)
            except Exception:
                self.failures.append(f"{key}: {traceback.format_exc()}")
            finally:
                self._busy.discard((task, key))

    def _add_later(self, task: str, key: Key, after_s: float) -> None:
        asyncio.get_running_loop().call_later(after_s, self._add, task, key)

    async def _look(self, task: str, key: Key) -> float | None:
        kind, namespace, name = key
        if task == "ended":
            if (pod := self._ended.pop(key, None)) is not None:
                await self._kubelet.forget(pod)
            return None
        obj = self._seen.get(kind, namespace, name)
        if obj is None:
            return None
        if task == "garbage":
            await self._garbage.reconcile(kind, obj)
        elif kind == "Pod":
            return await self._kubelet.reconcile(obj)
        elif self._controllers and kind == "StatefulSet":
            await self._sets.reconcile(obj)
        elif self._controllers and kind == "Deployment":
            await self._deployments.reconcile(obj)
        elif self._controllers and kind == "PersistentVolumeClaim":
            await self._volumes.reconcile(obj)
        elif kind in ("PersistentVolumeClaim", "PersistentVolume"):
            await self._provisioner.reconcile(obj)
        return None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            with suppress(Refused, OSError):
                await self._kubelet.beat()
