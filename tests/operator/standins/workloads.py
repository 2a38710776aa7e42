"""Stands for the controllers of StatefulSets and Deployments: pods and claims from templates."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from typing import Any

import orjson

from tests.operator.api import Api, Refused
from tests.operator.standins.informers import Informers

Obj = dict[str, Any]

REVISION = "controller-revision-hash"
TEMPLATE = "pod-template-hash"


class StatefulSets:
    """Pods in order: created upwards, removed and renewed downwards, one at a time."""

    def __init__(self, api: Api, seen: Informers) -> None:
        self._api = api
        self._seen = seen

    async def reconcile(self, obj: Obj) -> None:
        if "deletionTimestamp" in obj["metadata"]:
            return
        spec, name = obj["spec"], obj["metadata"]["name"]
        revision = f"{name}-{_digest(spec['template'])}"
        pods = {_ordinal(pod): pod for pod in self._seen.owned("Pod", obj)}
        await self._move(obj, pods, revision)
        await self._tell(obj, pods, revision)

    async def _move(self, obj: Obj, pods: dict[int, Obj], revision: str) -> None:
        spec = obj["spec"]
        in_order = spec["podManagementPolicy"] == "OrderedReady"
        for ordinal in range(spec["replicas"]):
            pod = pods.get(ordinal)
            if pod is None:
                await self._create(obj, ordinal, revision)
            if in_order and (pod is None or not is_ready(pod)):
                break
        surplus = sorted((ordinal for ordinal in pods if ordinal >= spec["replicas"]), reverse=True)
        for ordinal in surplus[:1] if in_order else surplus:
            await self._delete(pods[ordinal])
        if surplus or spec["updateStrategy"]["type"] != "RollingUpdate":
            return
        first = spec["updateStrategy"]["rollingUpdate"].get("partition", 0)
        for ordinal in sorted((ordinal for ordinal in pods if ordinal >= first), reverse=True):
            pod = pods[ordinal]
            if pod["metadata"]["labels"].get(REVISION) != revision:
                await self._delete(pod)
                return
            if not is_ready(pod):
                return

    async def _create(self, obj: Obj, ordinal: int, revision: str) -> None:
        spec, name, namespace = obj["spec"], obj["metadata"]["name"], obj["metadata"]["namespace"]
        pod_name = f"{name}-{ordinal}"
        template = deepcopy(spec["template"])
        volumes = template["spec"].setdefault("volumes", [])
        for claim in spec.get("volumeClaimTemplates", ()):
            claim_name = f"{claim['metadata']['name']}-{pod_name}"
            await self._claim(obj, claim, claim_name)
            volumes[:] = [volume for volume in volumes if volume["name"] != claim["metadata"]["name"]]
            volumes.append(
                {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name}}
            )
        labels = {
            **template["metadata"].get("labels", {}),
            REVISION: revision,
            "apps.kubernetes.io/pod-index": str(ordinal),
            "statefulset.kubernetes.io/pod-name": pod_name,
        }
        metadata = {
            **template["metadata"],
            "name": pod_name,
            "labels": labels,
            "ownerReferences": [_owner(obj)],
        }
        pod_spec = {**template["spec"], "hostname": pod_name, "subdomain": spec["serviceName"]}
        await create(
            self._api, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}, namespace
        )

    async def _claim(self, obj: Obj, claim: Obj, name: str) -> None:
        namespace = obj["metadata"]["namespace"]
        if self._seen.get("PersistentVolumeClaim", namespace, name) is not None:
            return
        labels = {**claim["metadata"].get("labels", {}), **obj["spec"]["selector"].get("matchLabels", {})}
        metadata: Obj = {**claim["metadata"], "name": name, "labels": labels}
        if obj["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete":
            metadata["ownerReferences"] = [
                *metadata.get("ownerReferences", ()),
                {**_owner(obj), "controller": False},
            ]
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": claim["spec"],
        }
        await create(self._api, body, namespace)

    async def _delete(self, pod: Obj) -> None:
        if "deletionTimestamp" not in pod["metadata"]:
            await delete(self._api, pod)

    async def _tell(self, obj: Obj, pods: dict[int, Obj], revision: str) -> None:
        current = [pod for pod in pods.values() if "deletionTimestamp" not in pod["metadata"]]
        updated = [pod for pod in current if pod["metadata"]["labels"].get(REVISION) == revision]
        ready = sum(map(is_ready, current))
        before = obj.get("status", {})
        settled = len(updated) == len(current) and ready >= obj["spec"]["replicas"]
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": len(current) if settled else len(current) - len(updated),
            "updatedReplicas": len(updated),
            "currentRevision": revision if settled or not before else before.get("currentRevision", revision),
            "updateRevision": revision,
            "collisionCount": 0,
        }
        await write_status(self._api, obj, status)


class Deployments:
    """New pods first, old ones once the new are ready. Pods are its own, without a ReplicaSet."""

    def __init__(self, api: Api, seen: Informers) -> None:
        self._api = api
        self._seen = seen

    async def reconcile(self, obj: Obj) -> None:
        if "deletionTimestamp" in obj["metadata"]:
            return
        digest = _digest(obj["spec"]["template"])
        pods = [pod for pod in self._seen.owned("Pod", obj) if "deletionTimestamp" not in pod["metadata"]]
        fresh = sorted(
            (pod for pod in pods if pod["metadata"]["labels"].get(TEMPLATE) == digest),
            key=lambda pod: str(pod["metadata"]["name"]),
        )
        old = [pod for pod in pods if pod["metadata"]["labels"].get(TEMPLATE) != digest]
        wanted = obj["spec"]["replicas"]
        taken = {pod["metadata"]["name"] for pod in fresh}
        names = (
            name
            for number in range(wanted + len(fresh))
            if (name := f"{obj['metadata']['name']}-{digest}-{number}") not in taken
        )
        for _ in range(wanted - len(fresh)):
            await self._create(obj, next(names), digest)
        for pod in fresh[wanted:]:
            await delete(self._api, pod)
        if sum(map(is_ready, fresh)) >= wanted:
            for pod in old:
                await delete(self._api, pod)
        await self._tell(obj, pods, fresh)

    async def _create(self, obj: Obj, name: str, digest: str) -> None:
        template = obj["spec"]["template"]
        labels = {**template["metadata"].get("labels", {}), TEMPLATE: digest}
        metadata = {**template["metadata"], "name": name, "labels": labels, "ownerReferences": [_owner(obj)]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        await create(self._api, body, obj["metadata"]["namespace"])

    async def _tell(self, obj: Obj, pods: list[Obj], fresh: list[Obj]) -> None:
        ready = sum(map(is_ready, pods))
        enough = ready >= obj["spec"]["replicas"]
        conditions = [
            {
                "type": "Available",
                "status": "True" if enough else "False",
                "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
                "message": "Deployment has minimum availability."
                if enough
                else "Deployment does not have minimum availability.",
            }
        ]
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": len(fresh),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, obj["spec"]["replicas"] - ready),
            "conditions": conditions,
        }
        await write_status(self._api, obj, {name: value for name, value in status.items() if value != 0})


def is_ready(pod: Obj) -> bool:
    return (
        any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod.get("status", {}).get("conditions", ())
        )
        and "deletionTimestamp" not in pod["metadata"]
    )


async def create(api: Api, body: Obj, namespace: str) -> None:
    """What is there already, or whose namespace goes, is passed over."""
    try:
        await api.create(body, namespace)
    except Refused as refusal:
        if refusal.code not in (403, 404, 409):
            raise


async def delete(api: Api, obj: Obj) -> None:
    metadata = obj["metadata"]
    await api.remove(
        obj["kind"], metadata["name"], metadata.get("namespace", ""), preconditions={"uid": metadata["uid"]}
    )


async def write_status(api: Api, obj: Obj, status: Obj) -> None:
    """Only what differs; an object that has gone meanwhile is passed over."""
    if obj.get("status") == status:
        return
    metadata = obj["metadata"]
    patch = {"status": {**dict.fromkeys(set(obj.get("status", {})) - set(status)), **status}}
    try:
        await api.merge(obj["kind"], metadata["name"], patch, metadata.get("namespace", ""), "status")
    except Refused as refusal:
        if refusal.code not in (404, 409):
            raise


def _owner(obj: Obj) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _ordinal(pod: Obj) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _digest(template: Obj) -> str:
    return hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).hexdigest()[:10]
