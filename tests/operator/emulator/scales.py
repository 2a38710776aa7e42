"""The scale subresource: the number of replicas, in the same words for every kind that has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.store import Obj


def scale_of(kind: Kind, obj: Obj) -> Obj:
    assert kind.scale is not None
    metadata = {
        key: obj["metadata"].get(key)
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    selector = _found(obj, kind.scale.selector) if kind.scale.selector else None
    if not kind.custom:
        labels = obj["spec"]["selector"].get("matchLabels", {})
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    status: Obj = {"replicas": _found(obj, kind.scale.status_replicas) or 0}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": _found(obj, kind.scale.replicas) or 0},
        "status": {**status, **({"selector": selector} if selector else {})},
    }


def scaled(kind: Kind, edit: Callable[[Obj], Obj]) -> Callable[[Obj], Obj]:
    """What `edit`, made for scales, does to an object of this kind."""
    assert kind.scale is not None
    path = kind.scale.replicas

    def edited(old: Obj) -> Obj:
        scale = edit(scale_of(kind, old))
        replicas = scale["spec"].get("replicas", 0)
        # An older revision than the object's is refused, as with the object itself.
        metadata = {**old["metadata"], **_revision(scale)}
        return {**old, "metadata": metadata, path[0]: {**old.get(path[0], {}), path[1]: replicas}}

    return edited


def _revision(scale: Obj) -> Obj:
    found = (scale.get("metadata") or {}).get("resourceVersion")
    return {"resourceVersion": found} if found else {}


def _found(obj: Any, path: Iterable[str]) -> Any:
    for word in path:
        obj = obj.get(word) if isinstance(obj, dict) else None
    return obj
