"""What the server fills in on built-in kinds, and what of them is fixed, as far as this project uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from tests.operator.emulator import quantities
from tests.operator.emulator.answers import Cause

Obj = dict[str, Any]

_POD_DEFAULTS: Final = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
}
_PROBE_DEFAULTS: Final = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
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


def filled(obj: Obj, kind: str) -> Obj:
    """The object with the server's defaults; `obj` is left as it is."""
    fill = _FILLERS.get(kind)
    if fill is None:
        return obj
    obj = deepcopy(obj)
    fill(obj)
    return obj


def problems(obj: Obj, old: Obj | None, kind: str) -> Iterator[Cause]:
    check = _CHECKS.get(kind)
    if check is not None:
        yield from check(obj, old)


def _set(obj: Obj, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        obj.setdefault(name, deepcopy(value))


def _fill_pod_spec(spec: Obj) -> None:
    _set(spec, _POD_DEFAULTS)
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        _fill_container(container)
    for volume in spec.get("volumes", ()):
        _fill_volume(volume)


def _fill_container(container: Obj) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    _set(
        container,
        {
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "resources": {},
        },
    )
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _set(container[probe], _PROBE_DEFAULTS)
            _fill_action(container[probe])
    for hook in container.get("lifecycle", {}).values():
        if isinstance(hook, dict):
            _fill_action(hook)
    for variable in container.get("env", ()):
        if reference := variable.get("valueFrom", {}).get("fieldRef"):
            reference.setdefault("apiVersion", "v1")


def _fill_action(holder: Obj) -> None:
    if "httpGet" in holder:
        _set(holder["httpGet"], {"path": "/", "scheme": "HTTP"})
    if "grpc" in holder:
        _set(holder["grpc"], {"service": ""})


def _fill_volume(volume: Obj) -> None:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if source in volume:
            _set(volume[source], {"defaultMode": 420})


def _fill_template(template: Obj) -> None:
    template.setdefault("metadata", {})
    _fill_pod_spec(template["spec"])


def _fill_stateful_set(obj: Obj) -> None:
    spec = obj["spec"]
    _set(
        spec,
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {},
        },
    )
    if spec["updateStrategy"].get("type", "RollingUpdate") == "RollingUpdate":
        _set(spec["updateStrategy"], {"type": "RollingUpdate", "rollingUpdate": {}})
        _set(spec["updateStrategy"]["rollingUpdate"], {"partition": 0})
    _set(spec["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
    _fill_template(spec["template"])
    for claim in spec.get("volumeClaimTemplates", ()):
        _set(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        _fill_claim(claim)


def _fill_volume_claim(obj: Obj) -> None:
    _fill_claim(obj)
    # A claim that is used is kept until its pods are gone; a controller takes the finalizer off.
    finalizers = obj["metadata"].get("finalizers", [])
    if "uid" in obj["metadata"] and "resourceVersion" not in obj["metadata"]:
        obj["metadata"]["finalizers"] = list(dict.fromkeys([*finalizers, "kubernetes.io/pvc-protection"]))


def _fill_claim(claim: Obj) -> None:
    _set(claim.setdefault("spec", {}), {"volumeMode": "Filesystem"})
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def _fill_deployment(obj: Obj) -> None:
    spec = obj["spec"]
    _set(
        spec,
        {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate"},
        },
    )
    if spec["strategy"].get("type") == "RollingUpdate":
        spec["strategy"].setdefault("rollingUpdate", {})
        _set(spec["strategy"]["rollingUpdate"], {"maxSurge": "25%", "maxUnavailable": "25%"})
    _fill_template(spec["template"])


def _fill_service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _set(
        spec,
        {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        },
    )
    for port in spec.get("ports", ()):
        _set(port, {"protocol": "TCP", "targetPort": port["port"]})
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _fill_autoscaler(obj: Obj) -> None:
    _set(obj["spec"], {"minReplicas": 1})
    for policy in obj["spec"].get("behavior", {}).values():
        _set(policy, {"selectPolicy": "Max"})
    if not obj["spec"].get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        obj["spec"]["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _fill_storage_class(obj: Obj) -> None:
    _set(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def _fill_secret(obj: Obj) -> None:
    obj.setdefault("type", "Opaque")


def _fill_namespace(obj: Obj) -> None:
    obj.setdefault("status", {}).setdefault("phase", "Active")
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]


def _fill_pod(obj: Obj) -> None:
    _fill_pod_spec(obj["spec"])
    _set(obj["spec"], {"enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0})
    # Of a pod alone: a template keeps requests as they are written.
    for container in obj["spec"].get("containers", ()):
        if limits := container["resources"].get("limits"):
            _set(container["resources"].setdefault("requests", {}), limits)
    _set(obj.setdefault("status", {}), {"phase": "Pending"})


_FILLERS: Final[dict[str, Callable[[Obj], None]]] = {
    "Deployment": _fill_deployment,
    "HorizontalPodAutoscaler": _fill_autoscaler,
    "Namespace": _fill_namespace,
    "PersistentVolumeClaim": _fill_volume_claim,
    "Pod": _fill_pod,
    "Secret": _fill_secret,
    "Service": _fill_service,
    "StatefulSet": _fill_stateful_set,
    "StorageClass": _fill_storage_class,
}


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
