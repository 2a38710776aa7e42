"""The volumes of collections and of the shard pool: whose they are, and how large.

A claim is made by its StatefulSet, which never looks at it again. The operator keeps the labels, the owner
and the size of a collection's claims; of the pool's, which is the chart's, it sees to the size alone. A size
that the storage class does not let grow is not asked for: the API server would refuse it at each reconcile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanax.core.resources.collections import Collection
from hanax.core.resources.conditions import Reason
from hanax.core.resources.names import FIELD_MANAGER, STORAGE_SIZE
from hanax.core.resources.quantities import value_of
from hanax.core.times import instant_of
from hanax_operator.build.names import DATA_VOLUME, claim_name
from hanax_operator.build.volumes import claim, claimed_size
from hanax_operator.comparison import differences
from hanax_operator.objects import CLAIM, Manifest, is_deleting, key, name_of
from hanax_operator.plan.actions import Apply, Patch
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
            if not _has_volume(live):
                wanted = _with_size(wanted, claimed_size(live))
            elif problem := _growth_problem(live, claimed_size(wanted), storage_classes):
                problems.append(problem)
                wanted = _with_size(wanted, claimed_size(live))
            elif _is_growing(live):
                problems.append(Problem(Reason.GROWING_VOLUMES, f"claim {name} is growing"))
            if different := differences(wanted, live, FIELD_MANAGER):
                actions.append(Apply(key(CLAIM, name), wanted, told(different)))
    return actions, problems


def plan_pool_volumes(
    pool: Manifest, claims: Mapping[str, Manifest], storage_classes: StorageClasses | None
) -> tuple[list[Patch], list[Problem]]:
    """Growth of the pool's claims, by name, to the size that its StatefulSet is annotated with.

    Its own claim template keeps the size of the first install, because it can't be changed: claims that are
    made later begin with that, and grow once they are bound. None shrinks. Claims of pods that the pool does
    not have any more are left as they are.
    Raises InvalidArgument for a size that can't be read. `storage_classes`: as for `plan_volumes`.
    """
    wanted = (pool["metadata"].get("annotations") or {}).get(STORAGE_SIZE)
    actions: list[Patch] = []
    problems: list[Problem] = []
    if wanted is None:
        return actions, problems
    for number in range(int(pool["spec"].get("replicas", 1))):
        name = f"{DATA_VOLUME}-{name_of(pool)}-{number}"
        live = claims.get(name)
        if live is None or is_deleting(live) or not _has_volume(live):
            continue
        size = claimed_size(live)
        if value_of(wanted) <= value_of(size):
            continue
        if problem := _growth_problem(live, wanted, storage_classes):
            problems.append(problem)
            continue
        actions.append(Patch(key(CLAIM, name), _size(wanted), f"claim {name} grows from {size} to {wanted}"))
    return actions, problems


def is_older(live: Manifest, collection: Collection) -> bool:
    """Whether a claim was there before the collection: it was retained, and holds another one's data too."""
    created = instant_of(live["metadata"].get("creationTimestamp", ""))
    return created is not None and created < collection.created_at_us


def _without_owner(manifest: Manifest) -> dict[str, Any]:
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "ownerReferences"}
    return {**manifest, "metadata": metadata}


def _growth_problem(live: Manifest, after: str, storage_classes: StorageClasses | None) -> Problem | None:
    before = claimed_size(live)
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


def _has_volume(live: Manifest) -> bool:
    """Only then may a claim grow; it is looked at again when it is bound."""
    return (live.get("status") or {}).get("phase") == "Bound"


def _is_growing(live: Manifest) -> bool:
    has = (live["status"].get("capacity") or {}).get("storage")
    return has is not None and value_of(has) < value_of(claimed_size(live))


def _with_size(manifest: Manifest, size: str) -> dict[str, Any]:
    return {**manifest, **_size(size)}


def _size(size: str) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": size}}}}
