"""A model with an autoscaler: when the operator sets the number of pods, and when it lets it be."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.resources.models import Model
from hanax_operator.objects import DEPLOYMENT, ObjectKey, key
from hanax_operator.plan.replicas import STARTER, plan_start
from tests.unit.operator.samples import child, custom_resource

NAME = key(DEPLOYMENT, "xm-mini")


def model(**serve: Any) -> Model:
    return Model.parse(
        custom_resource("ExternalModel", "mini", {"dimensions": 4, "serve": {"model": "m", **serve}})
    )


def live(replicas: int, *owners: tuple[str, str, str], **metadata: Any) -> dict[ObjectKey, dict[str, Any]]:
    """owners: of the number of pods: manager, operation, subresource."""
    entries = [
        {
            "manager": manager,
            "operation": operation,
            "subresource": subresource,
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
        for manager, operation, subresource in owners
    ]
    other = {"manager": "hanax-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:selector": {}}}}
    if ("hanax-operator", "Apply", "") not in owners:
        entries.append(other)
    told = {"resourceVersion": "7", "managedFields": entries, **metadata}
    return {NAME: child("Deployment", "xm-mini", "apps/v1", spec={"replicas": replicas}, metadata=told)}


OURS = ("hanax-operator", "Apply", "")
STARTED = (STARTER, "Apply", "")
SCALED = ("kube-controller-manager", "Update", "scale")
BY_HAND = ("hanax-operator", "Update", "")


@pytest.mark.parametrize(
    ("now", "owners", "wanted"),
    [
        # New: the server's default, that nobody owns.
        (1, (), 2),
        (2, (), None),
        (4, (), None),
        # It was fixed: handed over as it is; the autoscaler minds its bounds itself.
        (3, (OURS,), 3),
        (1, (OURS,), 1),
        (9, (OURS,), 9),
        # Half handed over: whatever else owns it keeps it.
        (3, (OURS, STARTED), None),
        # Started or scaled.
        (1, (STARTED,), None),
        (9, (SCALED,), None),
        (1, (BY_HAND,), None),
        # But for 0, where it is off.
        (0, (OURS,), 2),
        (0, (SCALED,), 2),
        (0, (STARTED,), 2),
    ],
)
def test_when_the_number_is_set(now: int, owners: Any, wanted: int | None) -> None:
    actions = plan_start(model(autoscaling={"min": 2, "max": 5}), live(now, *owners))
    assert [action.manifest["spec"] for action in actions] == (
        [] if wanted is None else [{"replicas": wanted}]
    )


def test_it_is_set_under_another_name_and_taken_from_nobody() -> None:
    (action,) = plan_start(model(autoscaling={"max": 5}), live(3, OURS))
    assert (action.manager, action.force) == (STARTER, False)
    assert action.manager != "hanax-operator"
    assert action.manifest == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "xm-mini", "uid": "uid-Deployment-xm-mini"},
        "spec": {"replicas": 3},
    }


def test_0_is_taken_from_its_owner_as_it_was_seen() -> None:
    (action,) = plan_start(model(autoscaling={"max": 5}), live(0, SCALED))
    assert action.force
    assert action.manifest["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize(
    ("serve", "found"),
    [
        ({"replicas": 2}, live(1)),
        ({"autoscaling": {"min": 2, "max": 5}}, {}),
        ({"autoscaling": {"min": 2, "max": 5}}, live(1, deletionTimestamp="2026-01-01T00:00:00Z")),
    ],
    ids=["fixed", "missing", "going"],
)
def test_what_is_not_there_or_not_autoscaled_is_not_started(serve: Any, found: Any) -> None:
    assert plan_start(model(**serve), found) == []
