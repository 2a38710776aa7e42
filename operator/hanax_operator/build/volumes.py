"""Claims of volumes: as a StatefulSet makes them, and what the operator sees to afterwards.

A StatefulSet makes a claim once and never looks at it again. Its size, its labels and whether it goes with
its collection are the operator's: a claim under deletion policy Retain has no owner and outlives everything.
"""

from __future__ import annotations

from typing import Any

from hanax.core.resources.collections import Collection, DeletionPolicy
from hanax.core.resources.quantities import value_of
from hanax_operator.build import metadata, names
from hanax_operator.build.quantities import canonical
from hanax_operator.objects import CLAIM, Manifest
from hanax_operator.release import Release


def claim_template(collection: Collection, shard: int, release: Release) -> dict[str, Any]:
    """For volumeClaimTemplates."""
    storage = collection.spec.storage
    storage_class = (storage and storage.storage_class_name) or release.default_storage_class
    return {
        "apiVersion": CLAIM.api_version,
        "kind": CLAIM.kind,
        "metadata": {
            "name": names.DATA_VOLUME,
            "labels": metadata.labelled(metadata.shard_selector(collection.name, shard)),
        },
        "spec": claim_spec(wanted_size(collection, release), storage_class, "ReadWriteOnce"),
    }


def claim(
    collection: Collection, shard: int, replica: int, release: Release, existing: Manifest | None
) -> dict[str, Any] | None:
    """The claim of one pod, as far as the operator has a say in it; None where there is none as yet.

    The size never shrinks: no volume can. Whether its storage class lets it grow, the caller finds out.
    """
    if existing is None:
        return None
    labels = metadata.labelled(metadata.shard_selector(collection.name, shard))
    manifest = metadata.child(CLAIM, names.claim_name(collection.name, shard, replica), collection, labels)
    if collection.spec.deletion_policy is DeletionPolicy.RETAIN:
        del manifest["metadata"]["ownerReferences"]
    size = larger(wanted_size(collection, release), claimed_size(existing))
    manifest["spec"] = {"resources": {"requests": {"storage": size}}}
    return manifest


def wanted_size(collection: Collection, release: Release) -> str:
    """Of the volume of each pod, as the API server writes it."""
    storage = collection.spec.storage
    return canonical((storage and storage.size) or release.default_storage_size)


def claimed_size(existing: Manifest) -> str:
    """What a claim asks for; it may have less as yet."""
    return str(existing["spec"]["resources"]["requests"]["storage"])


def larger(one: str, other: str) -> str:
    """The larger of two sizes; the second where they are the same."""
    return one if value_of(one) > value_of(other) else other


def claim_spec(size: str, storage_class: str, access: str) -> dict[str, Any]:
    """storage_class: empty for the cluster's default."""
    return {
        "accessModes": [access],
        **({"storageClassName": storage_class} if storage_class else {}),
        "resources": {"requests": {"storage": size}},
    }
