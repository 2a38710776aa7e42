"""What a collection is told about itself, from what was observed. Pure: nothing is asked here.

Ready says that the shards of the current generation serve: every pod that the routing table names reports
the collection's uid, a generation that is not older, and an open shard; and no pod is left of an earlier
template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hanax.core.node_state import NodeState, ReplicaState
from hanax.core.resources.collections import (
    Collection,
    ShardIndexes,
    ShardStatus,
    VectorCollectionStatus,
)
from hanax.core.resources.conditions import (
    Condition,
    ConditionType,
    Phase,
    Reason,
    set_condition,
    timestamp,
)
from hanax.core.resources.names import COLLECTION_LABEL, COMPONENT_LABEL, SHARD_COMPONENT
from hanax.core.routing import CollectionRoute
from hanax_operator.objects import Manifest
from hanax_operator.problems import Problem
from hanax_operator.release import Release

# Reasons that are on their way to pass by themselves.
PASSING = frozenset(
    {
        Reason.RECONCILING,
        Reason.CREATING_PODS,
        Reason.PODS_NOT_READY,
        Reason.SHARDS_NOT_OPEN,
        Reason.ROLLING_UPDATE,
        Reason.GROWING_VOLUMES,
        Reason.DELETING,
    }
)
# Reasons that are as someone asked for.
_ASKED_FOR = frozenset({Reason.SUSPENDED, Reason.PAUSED})


@dataclass(frozen=True)
class Observed:
    """What is known of a collection.

    route: in the table in force, of this uid; None: not in it. states: by node, of those that answered;
    silent: why the others did not, for those that run.
    stateful_sets: its own, by name. problem: the first thing found that needs someone.
    notice: something that needs someone while the collection serves.
    """

    route: CollectionRoute | None
    states: Mapping[str, NodeState]
    stateful_sets: Mapping[str, Manifest]
    silent: Mapping[str, str] = field(default_factory=dict)
    problem: Problem | None = None
    notice: Problem | None = None


def collection_status(
    collection: Collection, seen: Observed, release: Release, now_us: int
) -> VectorCollectionStatus:
    """The status as it should be. Times of transitions are kept where nothing changed."""
    shards = _shards(collection, seen)
    ready = sum(shard.ready for shard in shards)
    why = _verdict(collection, seen, shards)
    old = collection.status
    points = [shard.points for shard in shards]
    return VectorCollectionStatus(
        observed_generation=collection.generation,
        phase=_phase(collection, why, seen.notice, ready),
        conditions=_conditions(collection, old, (why, seen.notice), now_us),
        shards=shards,
        ready_shards=f"{ready}/{len(shards)}",
        points=sum(number for number in points if number is not None) if None not in points else None,
        replicas=0 if collection.spec.suspend else collection.spec.replicas,
        selector=f"{COLLECTION_LABEL}={collection.name},{COMPONENT_LABEL}={SHARD_COMPONENT}",
        endpoint=(
            f"http://{release.release_name}-gateway.{release.namespace}.svc.{release.cluster_domain}"
            f":{release.gateway_port}/api/v1/collections/{collection.name}"
        ),
    )


def unreadable_status(
    old: VectorCollectionStatus, generation: int, message: str, now_us: int
) -> VectorCollectionStatus:
    """The status of an object whose spec can't be read. What its shards told before stays."""
    why = Problem.of(Reason.INVALID_SPEC, message)
    return old.model_copy(
        update={
            "observed_generation": generation,
            "phase": Phase.DEGRADED,
            "conditions": conditions(old.conditions, generation, (why, None), now_us),
        }
    )


def is_rolled_out(workload: Manifest) -> bool:
    """Whether every pod of a StatefulSet is of its current template."""
    status = workload.get("status") or {}
    replicas = workload["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
        and (replicas == 0 or status.get("updatedReplicas", status.get("replicas", 0)) >= replicas)
        and status.get("currentRevision") == status.get("updateRevision")
    )


def _shards(collection: Collection, seen: Observed) -> tuple[ShardStatus, ...]:
    route = seen.route
    if route is None or collection.spec.suspend:
        old = {shard.shard: shard for shard in collection.status.shards}
        # What lies where is told on: the routing table is restored from it when it is lost.
        return tuple(
            (old.get(number) or ShardStatus(shard=number)).model_copy(update={"ready": False})
            for number in range(collection.spec.shards)
        )
    return tuple(
        _shard(collection, number, shard.replicas, seen.states) for number, shard in enumerate(route.shards)
    )


def _shard(
    collection: Collection, number: int, nodes: tuple[str, ...], states: Mapping[str, NodeState]
) -> ShardStatus:
    told = [(states.get(node), _replica(collection, number, states.get(node))) for node in nodes]
    open_ones = [replica for _, replica in told if replica is not None and replica.state == "open"]
    ready = len(open_ones) == len(nodes) and all(
        replica.generation >= collection.generation for replica in open_ones
    )
    old = next((shard for shard in collection.status.shards if shard.shard == number), None)
    if not open_ones:
        # The last that was told stays: it says what is there to be opened.
        last = old or ShardStatus(shard=number)
        return last.model_copy(update={"pods": nodes, "ready": False})
    best = max(open_ones, key=lambda replica: replica.sequence)
    return ShardStatus(
        shard=number,
        pods=nodes,
        ready=ready,
        points=best.points,
        sequence=best.sequence,
        segments=best.segments,
        indexes=ShardIndexes(
            built=best.indexes_built,
            building=best.indexes_building,
            waiting=best.indexes_waiting,
            refused=best.indexes_refused,
        ),
        revision=min((state.revision or 0) for state, replica in told if state is not None and replica),
    )


def _replica(collection: Collection, shard: int, state: NodeState | None) -> ReplicaState | None:
    if state is None:
        return None
    for replica in state.replicas:
        if (replica.uid, replica.shard) == (collection.uid, shard):
            return replica
    return None


def _verdict(collection: Collection, seen: Observed, shards: tuple[ShardStatus, ...]) -> Problem | None:
    """Why the collection is not Ready, None when it is."""
    if collection.deleting:
        return seen.problem or Problem(Reason.DELETING, "the collection is being deleted")
    if collection.spec.suspend and not collection.paused:
        return Problem(Reason.SUSPENDED, "spec.suspend is set: no shard is open, the data is kept")
    if seen.problem is not None:
        return seen.problem
    if seen.route is None:
        return Problem(Reason.RECONCILING, "the collection is not in the routing table yet")
    missing = _missing_nodes(seen.route, seen.states)
    if away := [node for node in missing if node not in seen.silent]:
        return Problem.of(Reason.CREATING_PODS, f"waiting for {', '.join(away)} to run")
    if missing:
        told = "; ".join(f"{node} does not answer: {seen.silent[node]}" for node in missing)
        return Problem.of(Reason.PODS_NOT_READY, told)
    if failed := _failed_replica(collection, seen.route, seen.states):
        return failed
    if waiting := [str(shard.shard) for shard in shards if not shard.ready]:
        return Problem.of(
            Reason.SHARDS_NOT_OPEN,
            f"shards {', '.join(waiting)} are not open at generation {collection.generation} yet",
        )
    rolling = [name for name, workload in seen.stateful_sets.items() if not is_rolled_out(workload)]
    if rolling:
        return Problem.of(Reason.ROLLING_UPDATE, f"pods of {', '.join(sorted(rolling))} are being replaced")
    return None


def _missing_nodes(route: CollectionRoute, states: Mapping[str, NodeState]) -> list[str]:
    """Nodes that the route names and that do not tell their state."""
    return sorted(node for shard in route.shards for node in shard.replicas if node not in states)


def _failed_replica(
    collection: Collection, route: CollectionRoute, states: Mapping[str, NodeState]
) -> Problem | None:
    for number, shard in enumerate(route.shards):
        for node in shard.replicas:
            replica = _replica(collection, number, states.get(node))
            if replica is not None and replica.state == "failed":
                return Problem.of(Reason.SHARD_FAILED, f"shard {number} on {node}: {replica.reason}")
    return None


def _phase(collection: Collection, why: Problem | None, notice: Problem | None, ready: int) -> Phase:
    if collection.deleting:
        return Phase.DELETING
    if why is None:
        return Phase.READY if notice is None else Phase.DEGRADED
    if why.reason == Reason.SUSPENDED:
        return Phase.SUSPENDED
    if why.reason in PASSING:
        known = bool(collection.status.conditions)
        return Phase.PROGRESSING if known or ready else Phase.PENDING
    return Phase.DEGRADED


def _conditions(
    collection: Collection,
    old: VectorCollectionStatus,
    findings: tuple[Problem | None, Problem | None],
    now_us: int,
) -> tuple[Condition, ...]:
    if collection.paused and not collection.deleting:
        why, _ = findings
        # Hands off: what is missing stays missing, and is said to.
        paused = Problem(Reason.PAUSED, "paused: nothing is repaired or changed")
        return conditions(old.conditions, collection.generation, (why, paused), now_us)
    return conditions(old.conditions, collection.generation, findings, now_us)


def conditions(
    old: tuple[Condition, ...],
    generation: int,
    findings: tuple[Problem | None, Problem | None],
    now_us: int,
    *,
    serving: str = "every shard serves",
) -> tuple[Condition, ...]:
    """Ready, Progressing and Degraded. `findings`: why it is not ready, and what else needs someone."""
    why, notice = findings
    fine = Problem(Reason.SETTLED, "")
    passing = why if why is not None and why.reason in PASSING else None
    bad = why if why is not None and why.reason not in PASSING | _ASKED_FOR else None
    if bad is None and notice is not None and notice.reason not in _ASKED_FOR:
        bad = notice
    idle = notice if notice is not None and notice.reason in _ASKED_FOR else fine
    told = (
        (ConditionType.READY, why is None, why or Problem(Reason.SERVING, serving)),
        (ConditionType.PROGRESSING, passing is not None, passing or idle),
        (ConditionType.DEGRADED, bad is not None, bad or Problem(Reason.HEALTHY, "")),
    )
    result = old
    for kind, status, finding in told:
        result = set_condition(
            result,
            Condition(
                type=kind,
                status="True" if status else "False",
                reason=finding.reason,
                message=finding.message,
                observed_generation=generation,
                last_transition_time=timestamp(now_us),
            ),
        )
    return result
