"""Rules of built-in kinds, as far as this project uses them: what may be changed, and what must match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.operator.emulator import quantities
from tests.operator.emulator.answers import Cause

Obj = dict[str, Any]

# Fields of a StatefulSet's spec that may change; the server says so in this order.
_STATEFUL_SET_MAY: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def problems(obj: Obj, old: Obj | None, kind: str) -> Iterator[Cause]:
    check = _CHECKS.get(kind)
    if check is not None:
        yield from check(obj, old)


def _check_stateful_set(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    yield from _check_selector(obj)
    if old is None:
        return
    fixed = [{k: v for k, v in one["spec"].items() if k not in _STATEFUL_SET_MAY} for one in (obj, old)]
    if fixed[0] != fixed[1]:
        may = "', '".join(_STATEFUL_SET_MAY[:-1])
        yield Cause(
            "spec",
            f"Forbidden: updates to statefulset spec for fields other than '{may}' and "
            f"'{_STATEFUL_SET_MAY[-1]}' are forbidden",
            "FieldValueForbidden",
        )


def _check_deployment(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    yield from _check_selector(obj)
    if old is not None and old["spec"]["selector"] != obj["spec"]["selector"]:
        yield Cause("spec.selector", 'Invalid value: "object": field is immutable')


def _check_selector(obj: Obj) -> Iterator[Cause]:
    wanted = obj["spec"]["selector"].get("matchLabels", {})
    labels = obj["spec"]["template"]["metadata"].get("labels", {})
    if any(labels.get(name) != value for name, value in wanted.items()):
        yield Cause(
            "spec.template.metadata.labels",
            'Invalid value: "object": `selector` does not match template `labels`',
        )


def _check_claim(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    if old is None:
        return
    sizes = [quantities.parse(one["spec"]["resources"]["requests"]["storage"]) for one in (obj, old)]
    if sizes[0] < sizes[1]:
        yield Cause(
            "spec.resources.requests.storage",
            "Forbidden: field can not be less than status.capacity",
            "FieldValueForbidden",
        )
    # A controller binds the volume; a default class may be set on a claim that has none.
    settable = ("resources", "volumeName", "storageClassName", "volumeAttributesClassName")
    fixed = [{k: v for k, v in one["spec"].items() if k not in settable} for one in (obj, old)]
    moved = any(
        old["spec"].get(name) and old["spec"][name] != obj["spec"].get(name)
        for name in ("volumeName", "storageClassName")
    )
    if fixed[0] != fixed[1] or moved or (sizes[0] > sizes[1] and not old["spec"].get("volumeName")):
        yield Cause(
            "spec",
            "Forbidden: spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims",
            "FieldValueForbidden",
        )


def _check_config_map(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    texts = sum(len(text.encode()) for text in obj.get("data", {}).values())
    if texts + sum(len(text) * 3 // 4 for text in obj.get("binaryData", {}).values()) > 1 << 20:
        yield Cause("", "Too long: may not be more than 1048576 bytes", "FieldValueTooLong")
    if old is not None and old.get("immutable") and obj.get("data") != old.get("data"):
        yield Cause("data", "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")


def _check_service(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    if old is not None and old["spec"].get("clusterIP") != obj["spec"].get("clusterIP"):
        told = [obj["spec"].get("clusterIP", "")]
        yield Cause("spec.clusterIPs[0]", f"Invalid value: {told}: may not change once set")


def _check_storage_class(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    if old is not None and (old["provisioner"], old.get("parameters")) != (
        obj["provisioner"],
        obj.get("parameters"),
    ):
        yield Cause("parameters", "Forbidden: updates to parameters are forbidden.", "FieldValueForbidden")


_CHECKS: Final[dict[str, Callable[[Obj, Obj | None], Iterator[Cause]]]] = {
    "ConfigMap": _check_config_map,
    "Deployment": _check_deployment,
    "PersistentVolumeClaim": _check_claim,
    "Service": _check_service,
    "StatefulSet": _check_stateful_set,
    "StorageClass": _check_storage_class,
}
