"""One collection, from whatever it is to what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.resources.collections import Collection, VectorCollectionStatus
from hanax.core.resources.conditions import ConditionType, Reason, condition_of
from hanax.core.resources.names import COLLECTION_LABEL, FINALIZER
from hanax.core.resources.objects import status_of
from hanax_operator.api import is_conflict
from hanax_operator.build.collections import children
from hanax_operator.context import Context
from hanax_operator.objects import CLAIM, COLLECTION, MODEL, POD, STATEFUL_SET, Kind, Manifest, ObjectKey, key
from hanax_operator.plan.actions import Patch
from hanax_operator.plan.children import one_restart_at_a_time, plan_children
from hanax_operator.plan.deletion import Leaving, plan_deletion
from hanax_operator.problems import Problem, first_problem, pod_problem
from hanax_operator.reconcile.routing import Publisher
from hanax_operator.status import PASSING, Observed, collection_status, unreadable_status
from hanax_operator.status_patch import StatusWriter
from hanax_operator.volumes import plan_volumes

log = structlog.get_logger()

# While something is waited for of which no event tells.
_WAIT_S: Final = 2.0
# Unschedulable pods and the like: their messages change without a change of ours.
_LOOK_AGAIN_S: Final = 20.0

Live = Mapping[ObjectKey, Manifest]


class CollectionReconciler:
    def __init__(self, context: Context, publisher: Publisher, statuses: StatusWriter) -> None:
        self._context = context
        self._publisher = publisher
        self._statuses = statuses

    async def reconcile(self, name: str) -> float | None:
        """Returns seconds after which to come again; None: when something changes.

        Raises what the API server says; the next attempt begins anew.
        """
        context = self._context
        obj = context.store.get(key(COLLECTION, name))
        if obj is None:
            context.declarations.collections.forget(name)
            self._statuses.forget(key(COLLECTION, name))
            return None
        try:
            collection = context.declarations.collections.parse(obj)
        except InvalidArgument as error:
            return await self._reconcile_unreadable(obj, error)
        live = context.store.labelled(COLLECTION_LABEL, name)
        if collection.paused:
            return await self._tell(collection, self._observe(collection, live, ()))
        if collection.deleting:
            return await self._delete(collection, live)
        if FINALIZER not in collection.finalizers:
            collection = await self._add_finalizer(collection)
            self._publisher.request()
        return await self._repair(collection, live)

    async def _repair(self, collection: Collection, live: Live) -> float | None:
        context = self._context
        actions = plan_children(children(collection, context.release, live), live)
        now, held = one_restart_at_a_time(actions, live)
        claims = _by_name(live, CLAIM)
        changes, troubles = plan_volumes(
            collection, context.release, claims, context.surroundings.storage_classes
        )
        failure: HanaxError | None = None
        problems: list[Problem] = []
        try:
            await context.applier.run([*now, *changes])
        except HanaxError as error:
            if is_conflict(error):
                raise
            failure = error
            problems.append(_apply_problem(error))
        if held:
            log.info("restart held back", collection=collection.name, reason=held[0])
        live = context.store.labelled(COLLECTION_LABEL, collection.name)
        again = await self._tell(collection, self._observe(collection, live, (*problems, *troubles)))
        if failure is not None:
            raise failure
        return again

    def _observe(self, collection: Collection, live: Live, problems: tuple[Problem, ...]) -> Observed:
        context = self._context
        route = self._publisher.route(collection.name, collection.uid)
        named = {node for shard in (() if route is None else route.shards) for node in shard.replicas}
        states = {node: state for node in named if (state := context.nodes.get(node)) is not None}
        pods = _by_name(live, POD)
        # What says more comes first: a class that is missing explains a pod that can't be scheduled.
        lasting = [problem for problem in problems if problem.reason not in PASSING]
        serious = [problem for problem in lasting if problem.reason not in _NOTICES]
        return Observed(
            route=route,
            states=states,
            silent={node: error for node in named if (error := context.nodes.error(node))},
            stateful_sets=_by_name(live, STATEFUL_SET),
            problem=first_problem(
                (
                    self._declared_problem(collection),
                    *serious,
                    *map(pod_problem, pods.values()),
                    *(self._refused_pod(node) for node in sorted(named - pods.keys())),
                    self._routing_problem(collection),
                )
            ),
            notice=first_problem(problem for problem in lasting if problem.reason in _NOTICES),
        )

    def _refused_pod(self, node: str) -> Problem | None:
        """Why a pod that should be there could not be made."""
        message = self._context.surroundings.refused_pods.get(node.rpartition("-")[0])
        return None if message is None else Problem.of(Reason.POD_FAILED, f"pod {node}: {message}")

    def _declared_problem(self, collection: Collection) -> Problem | None:
        """What is wrong with the spec beside other objects."""
        aliases = self._publisher.table.aliases.collection_by_alias
        route = self._publisher.route(collection.name, collection.uid)
        if route is None and collection.name in aliases:
            return Problem(
                Reason.NAME_TAKEN,
                f"{collection.name!r} is an alias of collection {aliases[collection.name]!r}",
            )
        wanted = collection.spec.embedding_model
        if wanted is None:
            return None
        obj = self._context.store.get(key(MODEL, wanted))
        if obj is None:
            return Problem(
                Reason.MODEL_UNKNOWN,
                f"spec.embeddingModel: there is no ExternalModel {wanted!r} in this namespace",
            )
        try:
            model = self._context.declarations.models.parse(obj)
        except InvalidArgument as error:
            return Problem.of(
                Reason.MODEL_UNKNOWN, f"ExternalModel {wanted!r} can't be read: {error.message}"
            )
        if model.spec.dimensions != collection.spec.dimensions:
            return Problem(
                Reason.DIMENSION_MISMATCH,
                f"spec.dimensions is {collection.spec.dimensions}, but model {wanted!r} makes vectors of "
                f"{model.spec.dimensions}",
            )
        return None

    def _routing_problem(self, collection: Collection) -> Problem | None:
        """Why the collection is not in the table as declared."""
        route = self._publisher.route(collection.name, collection.uid)
        if route is not None and route.generation >= collection.generation:
            return None
        if self._publisher.problem is not None:
            return self._publisher.problem
        if route is None and collection.spec.placement == "shared" and not self._publisher.has_pool():
            return Problem(
                Reason.POOL_TOO_SMALL,
                "the release has no shard pool: give it one (shardPool.replicas of the chart), or set "
                "spec.placement to dedicated",
            )
        return None

    async def _add_finalizer(self, collection: Collection) -> Collection:
        patched = await self._context.api.merge_patch(
            key(COLLECTION, collection.name),
            _finalizers(collection, (*collection.finalizers, FINALIZER)),
        )
        self._context.store.put(patched)
        return self._context.declarations.collections.parse(patched)

    async def _delete(self, collection: Collection, live: Live) -> float | None:
        context = self._context
        if FINALIZER not in collection.finalizers:
            self._publisher.forget(collection.uid)
            return None
        route = self._publisher.route(collection.name, collection.uid)
        if route is not None:
            self._publisher.request()
        leaving = Leaving(
            is_routed=route is not None,
            left_at=0 if route is not None else self._publisher.left_at(collection.uid),
            live=live,
            pool=context.nodes.pool(context.release.pool_stateful_set),
        )
        removals = plan_children(children(collection, context.release, live), live)
        deletion = plan_deletion(collection, leaving, removals)
        await context.applier.run(deletion.actions)
        if deletion.waiting:
            problem = Problem.of(Reason.DELETING, f"the collection is being deleted: {deletion.waiting}")
            await self._tell(collection, Observed(route, {}, {}, problem=problem))
            return _WAIT_S
        if deletion.kept:
            await context.events.tell(collection.raw, "Normal", "DataKept", deletion.kept)
        await self._release(collection)
        return None

    async def _release(self, collection: Collection) -> None:
        """Take the finalizer off: the API server removes the object."""
        remaining = tuple(name for name in collection.finalizers if name != FINALIZER)
        await self._context.applier.run(
            [Patch(key(COLLECTION, collection.name), _finalizers(collection, remaining), "all is removed")]
        )
        self._publisher.forget(collection.uid)

    async def _reconcile_unreadable(self, obj: Manifest, error: InvalidArgument) -> float | None:
        """Its children and its route stay as they are. On its way out it goes, and its data is kept."""
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or ()
        if metadata.get("deletionTimestamp") and FINALIZER in finalizers:
            remaining = [name for name in finalizers if name != FINALIZER]
            patch = {"metadata": {"finalizers": remaining, "resourceVersion": metadata["resourceVersion"]}}
            action = Patch(key(COLLECTION, metadata["name"]), patch, "its spec can't be read, data is kept")
            await self._context.applier.run([action])
            return None
        status = unreadable_status(
            status_of(VectorCollectionStatus, obj),
            int(metadata.get("generation", 0)),
            error.message,
            self._context.now_us(),
        )
        await self._statuses.write(obj, status.manifest())
        await self._context.events.tell(obj, "Warning", Reason.INVALID_SPEC, error.message)
        return None

    async def _tell(self, collection: Collection, seen: Observed) -> float | None:
        """Write the status, and an event for what is news."""
        context = self._context
        obj = context.store.get(key(COLLECTION, collection.name)) or collection.raw
        status = collection_status(collection, seen, context.release, context.now_us())
        again = await self._statuses.write(obj, status.manifest())
        ready = condition_of(status.conditions, ConditionType.READY)
        was = condition_of(collection.status.conditions, ConditionType.READY)
        degraded = condition_of(status.conditions, ConditionType.DEGRADED)
        if ready is not None and ready.status == "True" and (was is None or was.status != "True"):
            await context.events.tell(collection.raw, "Normal", "Ready", ready.message)
        if degraded is not None and degraded.status == "True":
            await context.events.tell(collection.raw, "Warning", degraded.reason, degraded.message)
            return min(again or _LOOK_AGAIN_S, _LOOK_AGAIN_S)
        return again


# Reasons that leave the collection serving.
_NOTICES: Final = frozenset({Reason.STORAGE_CLASS_CANNOT_GROW})


def _by_name(live: Live, kind: Kind) -> dict[str, Manifest]:
    return {found.name: obj for found, obj in live.items() if found.kind == kind.kind}


def _finalizers(collection: Collection, names: tuple[str, ...]) -> Manifest:
    """A patch that fails when someone else wrote the object meanwhile: the list is replaced as a whole."""
    version = collection.raw["metadata"]["resourceVersion"]
    return {"metadata": {"finalizers": list(names), "resourceVersion": version}}


def _apply_problem(error: HanaxError) -> Problem:
    if error.details.get("status") == 403 and "resize" in error.message:
        return Problem.of(Reason.STORAGE_CLASS_CANNOT_GROW, error.message)
    return Problem.of(Reason.APPLY_FAILED, error.message)
