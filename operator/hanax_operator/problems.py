"""Why pods do not run: read off the pods and volumes, because nobody else tells the collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hanax.core.resources.conditions import Reason
from hanax_operator.objects import Manifest, is_deleting, name_of

# Reasons for which a container waits that time alone does not cure.
_IMAGE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ErrImageInspect"}
)
_CONFIG: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

# What a message is cut to. Some name every node of the cluster.
_MESSAGE_LETTERS: Final = 500


@dataclass(frozen=True)
class Problem:
    reason: Reason
    message: str

    @classmethod
    def of(cls, reason: Reason, message: str) -> Problem:
        if len(message) > _MESSAGE_LETTERS:
            message = f"{message[: _MESSAGE_LETTERS - 3]}..."
        return cls(reason, message)


def pod_problem(pod: Manifest) -> Problem | None:
    """What keeps a pod from running and will not pass by itself, None when nothing does."""
    if is_deleting(pod):
        return None
    name = name_of(pod)
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if (
            condition.get("type") == "PodScheduled"
            and condition.get("status") == "False"
            and condition.get("reason") == "Unschedulable"
        ):
            return Problem.of(Reason.UNSCHEDULABLE, f"pod {name}: {condition.get('message', '')}")
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        if found := _container_problem(name, container):
            return found
    if status.get("phase") == "Failed":
        why = status.get("message") or status.get("reason") or "it ended"
        return Problem.of(Reason.POD_FAILED, f"pod {name}: {why}")
    return None


def deployment_problem(deployment: Manifest) -> Problem | None:
    """Why it can't make its pods: a quota, a policy, an account that is missing. None when it can."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            name = name_of(deployment)
            return Problem.of(Reason.POD_FAILED, f"Deployment {name}: {condition.get('message', '')}")
    return None


def _container_problem(pod: str, container: Mapping[str, Any]) -> Problem | None:
    waiting = (container.get("state") or {}).get("waiting") or {}
    why = waiting.get("reason", "")
    message = f"pod {pod}: {waiting.get('message') or why}"
    if why in _IMAGE:
        return Problem.of(Reason.IMAGE_PULL_FAILED, message)
    if why in _CONFIG:
        missing = "secret" in message and "not found" in message
        return Problem.of(Reason.SECRET_MISSING if missing else Reason.POD_FAILED, message)
    if why == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        code = last.get("exitCode")
        told = "" if code is None else f" (exit code {code}, {last.get('reason', '')})"
        return Problem.of(Reason.POD_FAILED, f"{message}{told}")
    return None


def claim_problem(claim: Manifest, storage_classes: Mapping[str, Manifest] | None) -> Problem | None:
    """Why a claim can't get a volume, None when it can. `storage_classes`: by name, None: unknown."""
    if is_deleting(claim) or (claim.get("status") or {}).get("phase") != "Pending" or storage_classes is None:
        return None
    name = name_of(claim)
    asked = claim["spec"].get("storageClassName")
    if asked is None:
        if not any(map(_is_default, storage_classes.values())):
            return Problem.of(
                Reason.NO_STORAGE_CLASS,
                f"claim {name} names no storage class and the cluster has no default one: "
                f"set spec.storage.storageClassName to one of {_listed(storage_classes)}",
            )
    elif asked and asked not in storage_classes:
        return Problem.of(
            Reason.NO_STORAGE_CLASS,
            f"claim {name}: there is no storage class {asked!r}, there are {_listed(storage_classes)}",
        )
    return None


def first_problem(problems: Iterable[Problem | None]) -> Problem | None:
    return next((problem for problem in problems if problem is not None), None)


def _is_default(storage_class: Manifest) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return annotations.get("storageclass.kubernetes.io/is-default-class") == "true"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "none"
