"""The volumes of a collection: who owns them, how large they are to be, and whether they can be.

A claim is made by its StatefulSet; the operator keeps its labels, its owner and its size. A size that the
storage class does not let grow is not asked for: the API server would refuse it at each reconcile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanax.core.resources.collections import Collection
from hanax.core.resources.conditions import Reason
from hanax.core.resources.names import FIELD_MANAGER
from hanax.core.resources.quantities import value_of
from hanax.core.times import instant_of
from hanax_operator.build.names import claim_name
from hanax_operator.build.volumes import claim, claimed_size
from hanax_operator.comparison import differences
from hanax_operator.objects import CLAIM, Manifest, is_deleting, key
from hanax_operator.plan.actions import Apply
from hanax_operator.plan.children import told
from hanax_operator.problems import Problem, claim_problem
from hanax_operator.release import Release

StorageClasses = Mapping[str, Manifest]


def plan_volumes(
    collection: Collection,
    release: Release,
    claims: Mapping[str, Manifest],
    storage_classes: StorageClasses | None,
) -> tuple[list[Apply], list[Problem]]:
    """Actions on the claims of a dedicated collection, by name, and what they can't be.

    `storage_classes`: by name; None: the operator may not look, and then each size is asked for.
    """
    actions: list[Apply] = []
    problems: list[Problem] = []
    for shard in range(collection.spec.shards):
        for replica in range(collection.spec.replicas):
            name = claim_name(collection.name, shard, replica)
            live = claims.get(name)
            if live is None or is_deleting(live):
                continue
            wanted = claim(collection, shard, replica, release, live)
            if wanted is None:
                continue
            if is_older(live, collection):
                wanted = _without_owner(wanted)
            if problem := claim_problem(live, storage_classes):
                problems.append(problem)
            if problem := _growth_problem(live, wanted, storage_classes):
                problems.append(problem)
                wanted = _with_size(wanted, claimed_size(live))
            elif _is_growing(live):
                problems.append(Problem(Reason.GROWING_VOLUMES, f"claim {name} is growing"))
            if different := differences(wanted, live, FIELD_MANAGER):
                actions.append(Apply(key(CLAIM, name), wanted, told(different)))
    return actions, problems


def is_older(live: Manifest, collection: Collection) -> bool:
    """Whether a claim was there before the collection: it was retained, and holds another one's data too."""
    created = instant_of(live["metadata"].get("creationTimestamp", ""))
    return created is not None and created < collection.created_at_us


def _without_owner(manifest: Manifest) -> dict[str, Any]:
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "ownerReferences"}
    return {**manifest, "metadata": metadata}


def _growth_problem(
    live: Manifest, wanted: Manifest, storage_classes: StorageClasses | None
) -> Problem | None:
    before, after = claimed_size(live), claimed_size(wanted)
    if value_of(after) <= value_of(before) or storage_classes is None:
        return None
    name = live["spec"].get("storageClassName") or ""
    found = storage_classes.get(name)
    if found is not None and found.get("allowVolumeExpansion"):
        return None
    return Problem.of(
        Reason.STORAGE_CLASS_CANNOT_GROW,
        f"claim {live['metadata']['name']} can't grow from {before} to {after}: "
        f"storage class {name!r} does not allow volume expansion",
    )


def _is_growing(live: Manifest) -> bool:
    status = live.get("status") or {}
    has = (status.get("capacity") or {}).get("storage")
    return status.get("phase") == "Bound" and has is not None and value_of(has) < value_of(claimed_size(live))


def _with_size(manifest: Manifest, size: str) -> dict[str, Any]:
    return {**manifest, "spec": {"resources": {"requests": {"storage": size}}}}
