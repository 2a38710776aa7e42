"""Stands for the volume controllers: claims are bound, grown where they may, protected while used."""

from __future__ import annotations

from typing import Any, Final

from tests.operator.api import Api, Refused
from tests.operator.emulator import quantities
from tests.operator.standins.events import tell
from tests.operator.standins.faults import Faults, hits
from tests.operator.standins.informers import Informers
from tests.operator.standins.workloads import write_status

Obj = dict[str, Any]

IS_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
PROTECTED: Final = "kubernetes.io/pvc-protection"


def growth(claim: Obj, faults: Faults) -> str | None:
    """The size that a bound claim is to have; None where it has it, or where a test holds it back."""
    if hits(faults.growth_stuck, claim["metadata"]["namespace"], claim["metadata"]["name"]):
        return None
    wanted = str(claim["spec"]["resources"]["requests"]["storage"])
    has = claim["status"]["capacity"]["storage"]
    return wanted if quantities.parse(wanted) > quantities.parse(has) else None


async def write_capacity(api: Api, claim: Obj, size: str) -> None:
    await write_status(api, claim, {**claim["status"], "capacity": {"storage": size}})


class Volumes:
    def __init__(self, api: Api, seen: Informers, faults: Faults) -> None:
        self._api = api
        self._seen = seen
        self._faults = faults

    async def reconcile(self, claim: Obj) -> None:
        if "deletionTimestamp" in claim["metadata"]:
            await self._release(claim)
            return
        name = claim["spec"].get("storageClassName")
        if name is None:
            await self._give_class(claim)
            return
        if claim.get("status", {}).get("phase") != "Bound":
            if self._seen.get("StorageClass", "", name) is None:
                told = f'storageclass.storage.k8s.io "{name}" not found'
                await tell(self._api, claim, "ProvisioningFailed", told)
                return
            await self._bind(claim)
            return
        await self._grow(claim)

    async def _give_class(self, claim: Obj) -> None:
        for found in self._seen.all("StorageClass"):
            if found["metadata"].get("annotations", {}).get(IS_DEFAULT) == "true":
                await self._patch(claim, {"spec": {"storageClassName": found["metadata"]["name"]}})
                return
        told = "no persistent volumes available for this claim and no storage class is set"
        await tell(self._api, claim, "FailedBinding", told)

    async def _bind(self, claim: Obj) -> None:
        if not claim["spec"].get("volumeName"):
            await self._patch(claim, {"spec": {"volumeName": f"pvc-{claim['metadata']['uid']}"}})
            return
        status = {
            "phase": "Bound",
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        }
        await write_status(self._api, claim, status)

    async def _grow(self, claim: Obj) -> None:
        if size := growth(claim, self._faults):
            await write_capacity(self._api, claim, size)

    async def _release(self, claim: Obj) -> None:
        metadata = claim["metadata"]
        used = any(
            volume.get("persistentVolumeClaim", {}).get("claimName") == metadata["name"]
            for pod in self._seen.all("Pod", metadata["namespace"])
            for volume in pod["spec"].get("volumes", ())
        )
        if not used and PROTECTED in metadata.get("finalizers", ()):
            left = [name for name in metadata["finalizers"] if name != PROTECTED]
            await self._patch(claim, {"metadata": {"finalizers": left}})

    async def _patch(self, claim: Obj, patch: Obj) -> None:
        metadata = claim["metadata"]
        try:
            await self._api.merge("PersistentVolumeClaim", metadata["name"], patch, metadata["namespace"])
        except Refused as refusal:
            if refusal.code not in (404, 409):
                raise
