"""Claims of shards: their size never shrinks, and only under deletion policy Delete do they have an owner."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_validate import latest_version, validate

from hanax_operator.build.volumes import claim
from tests.unit.operator.builders.declared import RELEASE, collection, released

LABELS = {
    "app.kubernetes.io/name": "hana-x-vector",
    "app.kubernetes.io/managed-by": "hanax-operator",
    "vector.citadel-ai.com/collection": "docs",
    "app.kubernetes.io/component": "shard",
    "vector.citadel-ai.com/shard": "1",
}


def claimed(size: str) -> dict[str, Any]:
    """A claim as it lives."""
    return {"metadata": {}, "spec": {"resources": {"requests": {"storage": size}}}}


def test_a_claim_under_retain_has_no_owner() -> None:
    docs = collection(shards=2, storage={"size": "20Gi"})
    manifest = claim(docs, 1, 0, RELEASE, claimed("10Gi"))
    assert manifest == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-vc-docs-1-0", "namespace": "search", "labels": LABELS},
        "spec": {"resources": {"requests": {"storage": "20Gi"}}},
    }
    validate(manifest, latest_version(), strict=True)


def test_a_claim_under_delete_goes_with_its_collection() -> None:
    docs = collection(shards=2, deletionPolicy="Delete")
    manifest = claim(docs, 1, 2, RELEASE, claimed("10Gi"))
    assert manifest is not None
    assert manifest["metadata"] == {
        "name": "data-vc-docs-1-2",
        "namespace": "search",
        "labels": LABELS,
        "ownerReferences": [
            {
                "apiVersion": "vector.citadel-ai.com/v1alpha1",
                "kind": "VectorCollection",
                "name": "docs",
                "uid": "uid-of-docs",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    validate(manifest, latest_version(), strict=True)


@pytest.mark.parametrize(
    ("live", "asked", "size"),
    [
        ("10Gi", "20Gi", "20Gi"),
        ("20Gi", "10Gi", "20Gi"),  # a volume can't shrink
        ("20Gi", "20480Mi", "20Gi"),  # the same, in other words
        ("10Gi", "10G", "10Gi"),
        ("1024Mi", "1Gi", "1024Mi"),
        ("1G", "1Gi", "1Gi"),
        ("10Gi", None, "30Gi"),  # the release's default
        ("40Gi", None, "40Gi"),
    ],
)
def test_a_claim_only_grows(live: str, asked: str | None, size: str) -> None:
    docs = collection(storage={"size": asked} if asked else {})
    manifest = claim(docs, 0, 0, released(default_storage_size="30Gi"), claimed(live))
    assert manifest is not None
    assert manifest["spec"] == {"resources": {"requests": {"storage": size}}}


def test_a_claim_that_is_not_there_is_for_the_stateful_set_to_make() -> None:
    assert claim(collection(), 0, 0, RELEASE, None) is None
