"""Stands for the garbage collector: what nobody owns any more goes."""

from __future__ import annotations

from typing import Any, Final

from tests.operator.api import Api, Refused
from tests.operator.standins.informers import Informers, Key

Obj = dict[str, Any]

KINDS: Final = (
    "ConfigMap",
    "Deployment",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "Service",
    "StatefulSet",
)


class Garbage:
    def __init__(self, api: Api, seen: Informers) -> None:
        self._api = api
        self._seen = seen

    def dependents(self, uid: str, namespace: str) -> list[Key]:
        return [
            (kind, namespace, obj["metadata"]["name"])
            for kind in KINDS
            for obj in self._seen.all(kind, namespace)
            if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", ()))
        ]

    async def reconcile(self, kind: str, obj: Obj) -> None:
        """Remove an object of which no owner is left; let a foreground deletion end."""
        metadata = obj["metadata"]
        if "foregroundDeletion" in metadata.get("finalizers", ()):
            await self._end_foreground(kind, obj)
        owners = metadata.get("ownerReferences", ())
        if not owners or "deletionTimestamp" in metadata:
            return
        for owner in owners:
            if await self._is_there(owner, metadata.get("namespace", "")):
                return
        await self._api.remove(
            kind, metadata["name"], metadata.get("namespace", ""), preconditions={"uid": metadata["uid"]}
        )

    async def _is_there(self, owner: Obj, namespace: str) -> bool:
        found = await self._api.find(owner["kind"], owner["name"], namespace)
        if found is None or found["metadata"]["uid"] != owner["uid"]:
            return False
        return "foregroundDeletion" not in found["metadata"].get("finalizers", ())

    async def _end_foreground(self, kind: str, obj: Obj) -> None:
        metadata = obj["metadata"]
        waiting = self.dependents(metadata["uid"], metadata["namespace"])
        for found, namespace, name in waiting:
            await self._api.remove(found, name, namespace)
        if not waiting:
            left = [name for name in metadata["finalizers"] if name != "foregroundDeletion"]
            try:
                await self._api.merge(
                    kind, metadata["name"], {"metadata": {"finalizers": left}}, metadata["namespace"]
                )
            except Refused as refusal:
                if refusal.code not in (404, 409):
                    raise
