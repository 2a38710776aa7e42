"""Stands for the scheduler and the kubelet of one node: pods are placed, run, are ready, and end."""

from __future__ import annotations

import datetime
from typing import Any, Final

from tests.operator.api import Api, Refused
from tests.operator.emulator import quantities
from tests.operator.standins.events import tell
from tests.operator.standins.faults import Faults, hits
from tests.operator.standins.informers import Informers
from tests.operator.standins.shards import ROUTING_VARIABLE, Shards, variable
from tests.operator.standins.workloads import create, write_status

Obj = dict[str, Any]

NODE: Final = "standin"
READY_AFTER_S: Final = 0.05
_GENEROUS: Final = {"cpu": "10000", "memory": "100Ti", "pods": "10000", "ephemeral-storage": "100Ti"}


class Kubelet:
    def __init__(self, api: Api, seen: Informers, shards: Shards, faults: Faults) -> None:
        self._api = api
        self._seen = seen
        self._shards = shards
        self._faults = faults
        self._addresses: dict[str, str] = {}
        self._restarts: dict[str, int] = {}

    async def start(self) -> None:
        if await self._api.find("Node", NODE) is None:
            labels = {"kubernetes.io/hostname": NODE}
            # A scheduler puts nothing here; pods of tests are bound by their name.
            spec = {"taints": [{"key": "hanax.test/standin", "effect": "NoSchedule"}]}
            metadata = {"name": NODE, "labels": labels}
            await create(
                self._api, {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}, ""
            )
        await self.beat()

    async def stop(self) -> None:
        await self._api.remove("Node", NODE)

    async def beat(self) -> None:
        """Say that the node lives; without it, its pods would be taken away."""
        now = _now()
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {"conditions": [condition], "capacity": _GENEROUS, "allocatable": _GENEROUS}
        await self._api.merge("Node", NODE, {"status": status}, subresource="status")

    async def reconcile(self, pod: Obj) -> float | None:
        """Take one step with a pod; the seconds after which to look again, None: when something changes."""
        metadata = pod["metadata"]
        uid = metadata["uid"]
        if "deletionTimestamp" in metadata:
            await self.forget(pod)
            await self._api.remove(
                "Pod",
                metadata["name"],
                metadata["namespace"],
                gracePeriodSeconds=0,
                preconditions={"uid": uid},
            )
            return None
        if not pod["spec"].get("nodeName"):
            if why := self._why_not_placed(pod):
                await write_status(self._api, pod, _unplaced(pod, why))
                await tell(self._api, pod, "FailedScheduling", why)
                return None
            return await self._place(pod)
        if pod["spec"]["nodeName"] != NODE:
            return None
        if waiting := self._waiting(pod):
            await write_status(
                self._api,
                pod,
                _running(pod, "", ready=False, waiting=waiting, restarts=self._restarts.get(uid, 0)),
            )
            return None
        if uid not in self._addresses:
            serves = bool(variable(pod, ROUTING_VARIABLE))
            self._addresses[uid] = await self._shards.open(pod) if serves else "127.0.0.1"
            await write_status(self._api, pod, _running(pod, self._addresses[uid], ready=False))
            return READY_AFTER_S
        ready = self._is_ready(pod)
        await write_status(self._api, pod, _running(pod, self._addresses[uid], ready=ready))
        return None

    async def forget(self, pod: Obj) -> None:
        """The pod's process has ended."""
        if self._addresses.pop(pod["metadata"]["uid"], None):
            await self._shards.close(pod)

    def _is_ready(self, pod: Obj) -> bool:
        metadata = pod["metadata"]
        if hits(self._faults.not_ready, metadata["namespace"], metadata["name"]):
            return False
        return not variable(pod, ROUTING_VARIABLE) or self._shards.table(pod) is not None

    def _why_not_placed(self, pod: Obj) -> str:
        namespace, name, spec = pod["metadata"]["namespace"], pod["metadata"]["name"], pod["spec"]
        if hits(self._faults.pending, namespace, name):
            return "0/1 nodes are available: 1 Insufficient memory."
        for volume in spec.get("volumes", ()):
            claim_name = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim_name:
                claim = self._seen.get("PersistentVolumeClaim", namespace, claim_name)
                if claim is None:
                    return f'persistentvolumeclaim "{claim_name}" not found'
                if claim.get("status", {}).get("phase") != "Bound":
                    return "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
        for wanted in spec.get("nodeSelector", {}).items():
            if wanted != ("kubernetes.io/hostname", NODE):
                return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        for container in spec["containers"]:
            for resource, amount in container.get("resources", {}).get("limits", {}).items():
                if "/" in resource and quantities.parse(amount) > self._faults.gpus.get(resource, 0):
                    return f"0/1 nodes are available: 1 Insufficient {resource}."
        return ""

    async def _place(self, pod: Obj) -> float | None:
        metadata = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"]},
            "target": target,
        }
        at = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        try:
            await self._api.request("POST", at, body)
        except Refused as refusal:
            if refusal.code not in (404, 409):
                raise
        return None

    def _waiting(self, pod: Obj) -> Obj | None:
        """Why the container does not run; None: it does."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        image = pod["spec"]["containers"][0]["image"]
        if hits(self._faults.image_missing, namespace, name):
            return {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
        for secret in _secrets(pod):
            if self._seen.get("Secret", namespace, secret) is None:
                return {"reason": "CreateContainerConfigError", "message": f'secret "{secret}" not found'}
        if hits(self._faults.crashing, namespace, name):
            uid = pod["metadata"]["uid"]
            self._restarts[uid] = 3
            return {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}
        return None


def _secrets(pod: Obj) -> set[str]:
    found = set()
    for container in pod["spec"]["containers"]:
        for entry in container.get("env", ()):
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            if reference and not reference.get("optional"):
                found.add(reference["name"])
        for source in container.get("envFrom", ()):
            if "secretRef" in source and not source["secretRef"].get("optional"):
                found.add(source["secretRef"]["name"])
    for volume in pod["spec"].get("volumes", ()):
        if "secret" in volume and not volume["secret"].get("optional"):
            found.add(volume["secret"]["secretName"])
    return found


def _unplaced(pod: Obj, why: str) -> Obj:
    condition = _condition(pod, "PodScheduled", "False") | {"reason": "Unschedulable", "message": why}
    return {"phase": "Pending", "conditions": [condition]}


def _running(pod: Obj, address: str, *, ready: bool, waiting: Obj | None = None, restarts: int = 0) -> Obj:
    word = "True" if ready else "False"
    conditions = [_condition(pod, "PodScheduled", "True"), _condition(pod, "Initialized", "True")]
    conditions += [_condition(pod, name, word) for name in ("ContainersReady", "Ready")]
    before = {entry["name"]: entry for entry in pod.get("status", {}).get("containerStatuses", ())}
    containers = []
    for container in pod["spec"]["containers"]:
        started = (
            before.get(container["name"], {}).get("state", {}).get("running", {}).get("startedAt", _now())
        )
        containers.append(
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": container["image"] if waiting is None else "",
                "ready": ready,
                "started": waiting is None,
                "restartCount": restarts,
                "state": {"waiting": waiting} if waiting else {"running": {"startedAt": started}},
            }
        )
    status: Obj = {
        "phase": "Pending" if waiting else "Running",
        "conditions": conditions,
        "containerStatuses": containers,
        "hostIP": "127.0.0.1",
        "startTime": pod.get("status", {}).get("startTime", _now()),
    }
    return status | ({"podIP": address, "podIPs": [{"ip": address}]} if address else {})


def _condition(pod: Obj, name: str, word: str) -> Obj:
    for known in pod.get("status", {}).get("conditions", ()):
        if (known["type"], known["status"]) == (name, word):
            return {"type": name, "status": word, "lastTransitionTime": known["lastTransitionTime"]}
    return {"type": name, "status": word, "lastTransitionTime": _now()}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
