"""What pods and claims say about why they do not run."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.resources.conditions import Reason
from hanax_operator.problems import claim_problem, deployment_problem, pod_problem
from tests.unit.operator.samples import child


def pod(**status: Any) -> dict[str, Any]:
    return child("Pod", "vc-docs-0-0", status=status)


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"state": {"waiting": {"reason": reason, "message": message}}, **more}
    return pod(containerStatuses=[state])


def test_pods_that_can_not_be_made_are_told() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    problem = deployment_problem(child("Deployment", "xm-mini", status={"conditions": [failure]}))
    assert problem is not None
    assert (problem.reason, problem.message) == (Reason.POD_FAILED, "Deployment xm-mini: exceeded quota")
    healed = [{**failure, "status": "False"}, {"type": "Available", "status": "True"}]
    for conditions in ([], healed):
        assert deployment_problem(child("Deployment", "xm-mini", status={"conditions": conditions})) is None


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes have a GPU",
}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(conditions=[UNSCHEDULABLE]), Reason.UNSCHEDULABLE),
        (waiting("ImagePullBackOff"), Reason.IMAGE_PULL_FAILED),
        (waiting("ErrImagePull"), Reason.IMAGE_PULL_FAILED),
        (waiting("CreateContainerConfigError", 'secret "token" not found'), Reason.SECRET_MISSING),
        (waiting("CreateContainerConfigError", "no such user"), Reason.POD_FAILED),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            Reason.POD_FAILED,
        ),
        (pod(phase="Failed", reason="Evicted"), Reason.POD_FAILED),
        (
            pod(initContainerStatuses=[{"state": {"waiting": {"reason": "InvalidImageName"}}}]),
            Reason.IMAGE_PULL_FAILED,
        ),
    ],
)
def test_a_pod_that_needs_someone(found: dict[str, Any], reason: Reason) -> None:
    problem = pod_problem(found)
    assert problem is not None
    assert problem.reason is reason
    assert problem.message.startswith("pod vc-docs-0-0: ")


@pytest.mark.parametrize(
    "found",
    [
        pod(),
        pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}]),
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        pod(containerStatuses=[{"state": {"running": {}}}]),
    ],
)
def test_a_pod_that_is_on_its_way(found: dict[str, Any]) -> None:
    assert pod_problem(found) is None


def test_a_pod_that_is_being_deleted_has_no_problem() -> None:
    found = pod(conditions=[UNSCHEDULABLE])
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_problem(found) is None


def test_the_exit_code_of_a_crash_is_told() -> None:
    found = waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    problem = pod_problem(found)
    assert problem is not None
    assert "exit code 137, OOMKilled" in problem.message


def test_long_messages_are_cut() -> None:
    problem = pod_problem(waiting("ErrImagePull", "x" * 5_000))
    assert problem is not None
    assert len(problem.message) == 500


def storage_class(name: str, default: bool = False) -> dict[str, Any]:
    key = "storageclass.kubernetes.io/is-default-class"
    return {"metadata": {"name": name, "annotations": {key: "true"} if default else {}}}


def claim(phase: str = "Pending", name: str | None = None) -> dict[str, Any]:
    spec = {} if name is None else {"storageClassName": name}
    return child("PersistentVolumeClaim", "data", spec=spec, status={"phase": phase})


FAST = {"fast": storage_class("fast")}


@pytest.mark.parametrize(
    ("found", "classes", "told"),
    [
        (claim(name="fast"), FAST, ""),
        (claim(name="slow"), FAST, "there is no storage class 'slow', there are fast"),
        (claim("Bound", "slow"), FAST, ""),
        (claim(name="slow"), None, ""),
        (claim(name="slow"), {}, "there are none"),
        (claim(), FAST, "no default one"),
        (claim(), {"fast": storage_class("fast", default=True)}, ""),
        # Bound by hand.
        (claim(name=""), FAST, ""),
    ],
)
def test_claims(found: dict[str, Any], classes: dict[str, Any] | None, told: str) -> None:
    problem = claim_problem(found, classes)
    if not told:
        assert problem is None
        return
    assert problem is not None
    assert problem.reason is Reason.NO_STORAGE_CLASS
    assert told in problem.message
