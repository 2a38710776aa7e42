"""What all pods have in common: rights, probes, where they run, what they may use.

Everything here is part of a pod template: a change of it restarts every pod when the operator is upgraded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from hanax.core.resources.names import ASKED_IMAGE
from hanax.core.resources.scheduling import Gpu, Resources, Toleration
from hanax_operator.build.quantities import canonical
from hanax_operator.objects import Manifest
from hanax_operator.release import Release

# Of the user that the images know by name.
USER: Final = 10001

SCRATCH: Final = "tmp"

PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"

# A process answers within seconds; where kernels have to be compiled for the processor first, within minutes.
# Liveness counts from the first answer on.
_START_PROBES: Final = 150
_START_PERIOD_S: Final = 2
# Endpoints follow readiness, and a rolling update waits for it.
_READY_PERIOD_S: Final = 2
_READY_FAILURES: Final = 2
# A restart is the last resort: one minute without an answer, while a kernel or a model may keep the CPU.
_LIVE_PERIOD_S: Final = 10
_LIVE_FAILURES: Final = 6
_PROBE_TIMEOUT_S: Final = 5


def pod_security() -> dict[str, Any]:
    """What the pod security standard `restricted` asks of a pod; volumes belong to the group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # A volume of a million files is not walked at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def probes(metrics_port: int) -> dict[str, Any]:
    """Of a service with /health and /ready on its metrics port.

    Starting ends with the first answer of /health, not with readiness: opening large shards or fetching a
    model takes as long as it takes, and a restart would only begin it again.
    """

    def ask(path: str, period_s: int, failures: int) -> dict[str, Any]:
        return {
            "httpGet": {"path": path, "port": metrics_port},
            "periodSeconds": period_s,
            "timeoutSeconds": _PROBE_TIMEOUT_S,
            "failureThreshold": failures,
        }

    return {
        "startupProbe": ask("/health", _START_PERIOD_S, _START_PROBES),
        "readinessProbe": ask("/ready", _READY_PERIOD_S, _READY_FAILURES),
        "livenessProbe": ask("/health", _LIVE_PERIOD_S, _LIVE_FAILURES),
    }


def plain_environment(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def scratch_volume() -> dict[str, Any]:
    return {"name": SCRATCH, "emptyDir": {}}


def scratch_mount() -> dict[str, Any]:
    return {"name": SCRATCH, "mountPath": "/tmp"}


def pulling(release: Release) -> dict[str, Any]:
    """Fields of a pod that say with which Secrets its images are pulled."""
    if not release.image_pull_secrets:
        return {}
    return {"imagePullSecrets": [{"name": name} for name in release.image_pull_secrets]}


def resources(asked: Resources | None, gpu: Gpu | None) -> dict[str, Any]:
    """The field `resources` of a container, or nothing where nothing is asked."""
    amounts = {
        field: {name: canonical(quantity) for name, quantity in sorted(found.items())}
        for field, found in (("limits", asked and asked.limits), ("requests", asked and asked.requests))
        if found
    }
    if gpu is not None:
        # The limit alone: Kubernetes asks for as many as it limits to, and never for a part of one.
        amounts["limits"] = amounts.get("limits", {}) | {gpu.resource_name: str(gpu.count)}
    return {"resources": amounts} if amounts else {}


def placement(
    node_selector: Mapping[str, str], tolerations: Iterable[Toleration], gpu: Gpu | None
) -> dict[str, Any]:
    """Fields of a pod that say on which nodes it may run: as asked, and where its GPUs are."""
    selector = {**(gpu.node_selector if gpu is not None else {}), **node_selector}
    tolerated = [*tolerations, *(gpu.tolerations if gpu is not None else ())]
    fields: dict[str, Any] = {}
    if selector:
        fields["nodeSelector"] = dict(sorted(selector.items()))
    if tolerated:
        fields["tolerations"] = [
            toleration.model_dump(mode="json", by_alias=True, exclude_none=True)
            for toleration in dict.fromkeys(tolerated)
        ]
    return fields


def apart(weight: int, selector: Mapping[str, str]) -> dict[str, Any]:
    """A preferred term of podAntiAffinity: not on a node where such a pod is. weight: 1 to 100."""
    return {
        "weight": weight,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": dict(selector)},
        },
    }


def chosen_image(container: str, asked: str, live: Manifest | None) -> str:
    """The image of a workload's container.

    As it is, for as long as the same image is asked for as when it was chosen: what an admission controller
    made of it (another registry, a digest) is not undone, and nothing restarts. Another image that is
    asked for is taken.
    """
    if live is None or (live["metadata"].get("annotations") or {}).get(ASKED_IMAGE) != asked:
        return asked
    containers = live["spec"]["template"]["spec"]["containers"]
    return next((str(found["image"]) for found in containers if found["name"] == container), asked)
