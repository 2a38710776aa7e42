"""Claims get their labels, their owner and their size; none is asked to grow that can't."""

from __future__ import annotations

from typing import Any

from hanax.core.resources.collections import Collection
from hanax.core.resources.conditions import Reason
from hanax_operator.volumes import StorageClasses, plan_volumes
from tests.unit.operator.samples import child, collection, release

NAME = "data-vc-docs-0-0"
GROWS = {"fast": {"metadata": {"name": "fast"}, "allowVolumeExpansion": True}}
FIXED = {"fast": {"metadata": {"name": "fast"}, "allowVolumeExpansion": False}}


def declared(size: str = "20Gi", policy: str = "Retain") -> Collection:
    return collection("docs", {"storage": {"size": size}, "deletionPolicy": policy})


def claim(size: str = "10Gi", has: str = "", **metadata: Any) -> dict[str, Any]:
    return child(
        "PersistentVolumeClaim",
        NAME,
        metadata=metadata,
        spec={"storageClassName": "fast", "resources": {"requests": {"storage": size}}},
        status={"phase": "Bound", "capacity": {"storage": has or size}},
    )


def planned(
    of: Collection, live: dict[str, Any] | None, classes: StorageClasses | None
) -> tuple[str | None, list[Reason], Any]:
    """The size that is asked for, the problems, and the owners."""
    actions, problems = plan_volumes(of, release(), {} if live is None else {NAME: live}, classes)
    reasons = [problem.reason for problem in problems]
    if not actions:
        return None, reasons, None
    manifest = actions[0].manifest
    size = manifest["spec"]["resources"]["requests"]["storage"]
    return size, reasons, manifest["metadata"].get("ownerReferences")


def test_a_claim_that_is_not_there_is_the_stateful_sets_affair() -> None:
    assert planned(declared(), None, GROWS)[0] is None


def test_a_claim_grows_where_the_class_allows_it() -> None:
    assert planned(declared(), claim(), GROWS)[:2] == ("20Gi", [])


def test_a_claim_that_can_not_grow_keeps_its_size_and_tells() -> None:
    size, reasons, _ = planned(declared(), claim(), FIXED)
    assert (size, reasons) == ("10Gi", [Reason.STORAGE_CLASS_CANNOT_GROW])


def test_without_a_look_at_classes_growth_is_asked_for() -> None:
    assert planned(declared(), claim(), None)[:2] == ("20Gi", [])


def test_a_claim_never_shrinks() -> None:
    assert planned(declared("5Gi"), claim(), GROWS)[:2] == ("10Gi", [])


def test_a_claim_that_is_growing_tells_so() -> None:
    assert planned(declared(), claim("20Gi", has="10Gi"), GROWS)[1] == [Reason.GROWING_VOLUMES]


def test_a_claim_is_owned_under_delete_alone() -> None:
    assert planned(declared(policy="Delete"), claim(), GROWS)[2]
    assert planned(declared(policy="Retain"), claim(), GROWS)[2] is None


def test_a_claim_of_an_earlier_collection_is_not_owned() -> None:
    older = claim(creationTimestamp="2025-12-31T23:59:59Z")
    assert planned(declared(policy="Delete"), older, GROWS)[2] is None
