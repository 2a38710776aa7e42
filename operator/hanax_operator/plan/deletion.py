"""How a collection goes: out of the routing table, then its pods, then its volumes, then its name.

Each step is decided from what is there, so that an operator that was killed goes on where it was. Data is
removed under deletionPolicy Delete alone, and never from a claim that was there before the collection: that
was retained for someone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hanax.core.node_state import NodeState
from hanax.core.resources.collections import Collection, DeletionPolicy
from hanax_operator.objects import CLAIM, POD, Manifest, ObjectKey, is_deleting, uid_of
from hanax_operator.plan.actions import Action, Delete
from hanax_operator.volumes import is_older


@dataclass(frozen=True)
class Leaving:
    """What is known of a collection on its way out.

    is_routed: whether the table in force has it. left_at: revision of the table, not before it left.
    live: its objects. pool: what the pool's nodes say that answer.
    """

    is_routed: bool
    left_at: int
    live: Mapping[ObjectKey, Manifest]
    pool: Mapping[str, NodeState]


@dataclass(frozen=True)
class Deletion:
    """The actions of now; what is waited for, empty: nothing, the object may go; and where data stays."""

    actions: Sequence[Action]
    waiting: str = ""
    kept: str = ""


def plan_deletion(collection: Collection, seen: Leaving, children: Sequence[Action]) -> Deletion:
    """`children`: what removes its workloads."""
    if seen.is_routed:
        return Deletion((), "the routing table still has it")
    if collection.spec.placement == "shared":
        return _plan_shared(collection, seen)
    pods = sorted(key.name for key in seen.live if key.kind == POD.kind)
    if children or pods:
        named = ", ".join(pods[:5]) or "its workloads"
        return Deletion(children, f"{named} still there")
    claims = {key: claim for key, claim in seen.live.items() if key.kind == CLAIM.kind}
    doomed = {
        key: claim
        for key, claim in claims.items()
        if collection.spec.deletion_policy is DeletionPolicy.DELETE and not is_older(claim, collection)
    }
    kept = ", ".join(key.name for key in claims if key not in doomed)
    told = f"the data is kept on claims {kept}, in the folder of uid {collection.uid}" if kept else ""
    if doomed:
        actions = [
            Delete(key, uid_of(claim), "deletionPolicy is Delete")
            for key, claim in doomed.items()
            if not is_deleting(claim)
        ]
        return Deletion(actions, f"claims {', '.join(key.name for key in doomed)} still there", told)
    return Deletion((), "", told)


def _plan_shared(collection: Collection, seen: Leaving) -> Deletion:
    if collection.spec.deletion_policy is not DeletionPolicy.DELETE:
        pods = {pod for shard in collection.status.shards for pod in shard.pods}
        told = f"the data is kept on {', '.join(sorted(pods))}, in the folder of uid {collection.uid}"
        return Deletion((), "", told if pods else "")
    # A node that does not answer is not waited for: the table tells it when it is back.
    holding = sorted(
        node
        for node, state in seen.pool.items()
        if (state.revision or 0) < seen.left_at
        or any(replica.uid == collection.uid for replica in state.replicas)
    )
    if holding:
        return Deletion((), f"{', '.join(holding[:5])} still has its data")
    return Deletion(())
