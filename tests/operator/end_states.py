"""What a namespace holds in the end, without what differs from run to run: to compare two lives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tests.operator.homes import ROUTING, Home

Obj = dict[str, Any]

KINDS: Final = (
    "ConfigMap",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "Service",
    "StatefulSet",
    "VectorCollection",
)
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIMES: Final = ("lastTransitionTime", "created_at_us", "revision", "startTime")
_METADATA: Final = ("annotations", "finalizers", "labels", "name", "ownerReferences")
_OPERATOR: Final = "hanax-operator"


async def end_state(home: Home) -> dict[str, Any]:
    """By kind/name: what is wanted of each object, who owns it, and what custom resources tell."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        for obj in await home.api.list(kind, home.namespace):
            name = obj["metadata"]["name"]
            if kind == "ConfigMap" and name != ROUTING:
                continue
            found[f"{kind}/{name}"] = _timeless(_told(kind, obj))
    if f"ConfigMap/{ROUTING}" in found:
        found[f"ConfigMap/{ROUTING}"] = _timeless((await home.table()).model_dump(mode="json"))
    text = orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode().replace(home.namespace, "NAMESPACE")
    document: dict[str, Any] = orjson.loads(_UID.sub("UID", text))
    return document


def _told(kind: str, obj: Obj) -> Obj:
    told = {field: obj["metadata"].get(field) for field in _METADATA}
    told["ending"] = "deletionTimestamp" in obj["metadata"]
    told["owned"] = [
        entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
        if entry["manager"] == _OPERATOR
    ]
    rest = {"spec": obj.get("spec")} if kind != "Pod" else {"image": obj["spec"]["containers"][0]["image"]}
    return told | rest | ({"status": obj.get("status")} if kind == "VectorCollection" else {})


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _timeless(inner) for key, inner in value.items() if key not in _TIMES}
    if isinstance(value, (list, tuple)):
        return [_timeless(inner) for inner in value]
    return value
