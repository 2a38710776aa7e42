"""What the server fills in on pods and on templates of pods, as far as this project uses them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

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


def fill_pod(obj: Obj) -> None:
    _fill_pod_spec(obj["spec"])
    fill(obj["spec"], {"enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0})
    # Of a pod alone: a template keeps requests as they are written.
    for container in obj["spec"].get("containers", ()):
        if limits := container["resources"].get("limits"):
            fill(container["resources"].setdefault("requests", {}), limits)
    fill(obj.setdefault("status", {}), {"phase": "Pending"})


def fill_template(template: Obj) -> None:
    template.setdefault("metadata", {})
    _fill_pod_spec(template["spec"])


def fill(obj: Obj, values: Mapping[str, Any]) -> None:
    """Give fields that are not there the values of these."""
    for name, value in values.items():
        obj.setdefault(name, deepcopy(value))


def _fill_pod_spec(spec: Obj) -> None:
    fill(spec, _POD_DEFAULTS)
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
    fill(
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
            fill(container[probe], _PROBE_DEFAULTS)
            _fill_action(container[probe])
    for hook in container.get("lifecycle", {}).values():
        if isinstance(hook, dict):
            _fill_action(hook)
    for variable in container.get("env", ()):
        if reference := variable.get("valueFrom", {}).get("fieldRef"):
            reference.setdefault("apiVersion", "v1")


def _fill_action(holder: Obj) -> None:
    if "httpGet" in holder:
        fill(holder["httpGet"], {"path": "/", "scheme": "HTTP"})
    if "grpc" in holder:
        fill(holder["grpc"], {"service": ""})


def _fill_volume(volume: Obj) -> None:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if source in volume:
            fill(volume[source], {"defaultMode": 420})
