"""Stands for what comes with a storage class and not with the controllers: provisioner and resizer.

Where kube-controller-manager runs, it binds claims to the volumes that are made here, and releases them.
"""

from __future__ import annotations

from typing import Any, Final

from tests.operator.api import Api
from tests.operator.standins.faults import Faults
from tests.operator.standins.informers import Informers
from tests.operator.standins.volumes import growth, write_capacity
from tests.operator.standins.workloads import create

Obj = dict[str, Any]

PROVISIONER: Final = "hanax.test/standin"
_PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"


class Provisioner:
    def __init__(self, api: Api, seen: Informers, faults: Faults) -> None:
        self._api = api
        self._seen = seen
        self._faults = faults

    async def stop(self) -> None:
        """What is still claimed goes with its claim."""
        for volume in self._seen.all("PersistentVolume"):
            if _is_ours(volume):
                await self._remove(volume)

    async def reconcile(self, obj: Obj) -> None:
        """Take a step with a claim, or with a volume."""
        if obj["kind"] == "PersistentVolume":
            await self._end(obj)
        elif "deletionTimestamp" in obj["metadata"] or not self._is_of_our_class(obj):
            return
        elif obj.get("status", {}).get("phase") == "Bound":
            await self._grow(obj)
        else:
            await self._provide(obj)

    async def _provide(self, claim: Obj) -> None:
        if claim["spec"].get("volumeName"):
            return
        metadata = claim["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": f"pvc-{metadata['uid']}",
                "annotations": {_PROVISIONED_BY: PROVISIONER},
            },
            "spec": {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": metadata["namespace"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
                # Never mounted.
                "hostPath": {"path": "/nonexistent"},
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": claim["spec"]["storageClassName"],
            },
        }
        await create(self._api, body, "")

    async def _grow(self, claim: Obj) -> None:
        size = growth(claim, self._faults)
        if size is None:
            return
        volume = claim["spec"]["volumeName"]
        await self._api.merge("PersistentVolume", volume, {"spec": {"capacity": {"storage": size}}})
        await write_capacity(self._api, claim, size)

    async def _end(self, volume: Obj) -> None:
        if _is_ours(volume) and volume.get("status", {}).get("phase") == "Released":
            await self._remove(volume)

    async def _remove(self, volume: Obj) -> None:
        metadata = volume["metadata"]
        if "deletionTimestamp" not in metadata:
            await self._api.remove(
                "PersistentVolume", metadata["name"], preconditions={"uid": metadata["uid"]}
            )

    def _is_of_our_class(self, claim: Obj) -> bool:
        found = self._seen.get("StorageClass", "", claim["spec"].get("storageClassName", ""))
        return found is not None and found["provisioner"] == PROVISIONER


def _is_ours(volume: Obj) -> bool:
    return bool(volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER)
