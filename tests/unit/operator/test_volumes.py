"""Claims get their labels, their owner and their size; none is asked to grow that can't."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import InvalidArgument
from hanax.core.resources.collections import Collection
from hanax.core.resources.conditions import Reason
from hanax.core.resources.names import STORAGE_SIZE
from hanax_operator.volumes import StorageClasses, plan_pool_volumes, plan_volumes
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


def test_a_claim_that_waits_for_its_volume_is_not_asked_to_grow() -> None:
    """The API server refuses that, class or not; when it is bound it is looked at again."""
    pending = {**claim(), "status": {"phase": "Pending"}}
    assert planned(declared(), pending, GROWS)[:2] == ("10Gi", [])
    assert planned(declared(), pending, FIXED)[:2] == ("10Gi", [])


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


def pool(size: str | None, replicas: int = 2) -> dict[str, Any]:
    annotations = {} if size is None else {STORAGE_SIZE: size}
    return child(
        "StatefulSet",
        "hx-pool",
        "apps/v1",
        metadata={"annotations": annotations},
        spec={"replicas": replicas, "serviceName": "hx-pool"},
    )


def grown(of: dict[str, Any], classes: StorageClasses | None, *sizes: str) -> tuple[list[Any], list[Reason]]:
    """The patches by name for claims of these sizes, and the problems."""
    claims = {f"data-hx-pool-{number}": claim(size) for number, size in enumerate(sizes)}
    actions, problems = plan_pool_volumes(of, claims, classes)
    return [(found.key.name, found.patch) for found in actions], [problem.reason for problem in problems]


def asked(size: str) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": size}}}}


def test_claims_of_the_pool_grow_to_the_size_of_its_annotation() -> None:
    patches = [("data-hx-pool-0", asked("20Gi")), ("data-hx-pool-1", asked("20Gi"))]
    assert grown(pool("20Gi"), GROWS, "10Gi", "10Gi") == (patches, [])
    # Only what is smaller, however it is written, and only for pods that the pool has.
    assert grown(pool("20Gi"), GROWS, "20480Mi", "10Gi") == (patches[1:], [])
    assert grown(pool("20Gi", replicas=1), GROWS, "10Gi", "10Gi") == (patches[:1], [])
    assert grown(pool("20Gi"), None, "10Gi") == (patches[:1], [])


def test_claims_of_the_pool_never_shrink_and_need_an_annotation() -> None:
    assert grown(pool("5Gi"), GROWS, "10Gi", "10Gi") == ([], [])
    assert grown(pool(None), GROWS, "10Gi", "10Gi") == ([], [])


def test_a_claim_of_the_pool_waits_for_its_volume() -> None:
    pending = {**claim("10Gi"), "status": {"phase": "Pending"}}
    assert plan_pool_volumes(pool("20Gi"), {"data-hx-pool-0": pending}, GROWS) == ([], [])


def test_a_claim_of_the_pool_that_cannot_grow_is_left_and_told() -> None:
    reasons = [Reason.STORAGE_CLASS_CANNOT_GROW, Reason.STORAGE_CLASS_CANNOT_GROW]
    assert grown(pool("20Gi"), FIXED, "10Gi", "10Gi") == ([], reasons)


def test_a_size_of_the_pool_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="plenty"):
        grown(pool("plenty"), GROWS, "10Gi")
