"""One model, from whatever it is to what it should be."""

from __future__ import annotations

from typing import Final

from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.resources.conditions import ConditionType, Phase, Reason, condition_of
from hanax.core.resources.models import ExternalModelStatus, Model
from hanax.core.resources.names import MODEL_LABEL
from hanax.core.resources.objects import status_of
from hanax_operator.api import is_conflict
from hanax_operator.build.models import children
from hanax_operator.context import Context
from hanax_operator.model_status import ModelObserved, model_status
from hanax_operator.objects import CLAIM, DEPLOYMENT, MODEL, POD, Manifest, key
from hanax_operator.plan.children import plan_children
from hanax_operator.plan.replicas import plan_start
from hanax_operator.problems import (
    Problem,
    claim_problem,
    deployment_problem,
    first_problem,
    pod_problem,
)
from hanax_operator.status import conditions
from hanax_operator.status_patch import StatusWriter

_LOOK_AGAIN_S: Final = 20.0


class ModelReconciler:
    """A model has no finalizer: all that it is made of ends with it, and none of it is data."""

    def __init__(self, context: Context, statuses: StatusWriter) -> None:
        self._context = context
        self._statuses = statuses

    async def reconcile(self, name: str) -> float | None:
        """As CollectionReconciler.reconcile."""
        context = self._context
        obj = context.store.get(key(MODEL, name))
        if obj is None:
            context.declarations.models.forget(name)
            self._statuses.forget(key(MODEL, name))
            return None
        try:
            model = context.declarations.models.parse(obj)
        except InvalidArgument as error:
            return await self._tell_unreadable(obj, error)
        if model.deleting:
            return None
        problem: Problem | None = None
        failure: HanaxError | None = None
        if not model.paused:
            live = context.store.labelled(MODEL_LABEL, name)
            try:
                wanted = children(model, context.release, live)
                await context.applier.run([*plan_start(model, live), *plan_children(wanted, live)])
            except HanaxError as error:
                if is_conflict(error):
                    raise
                failure = error
                problem = Problem.of(Reason.APPLY_FAILED, error.message)
        again = await self._tell(model, problem)
        if failure is not None:
            raise failure
        return again

    async def _tell(self, model: Model, problem: Problem | None) -> float | None:
        context = self._context
        live = context.store.labelled(MODEL_LABEL, model.name)
        classes = context.surroundings.storage_classes
        deployment = next((obj for found, obj in live.items() if found.kind == DEPLOYMENT.kind), None)
        seen = ModelObserved(
            health=context.probes.health(model),
            deployment=deployment,
            problem=first_problem(
                (
                    problem,
                    self._secret_problem(model),
                    *(claim_problem(obj, classes) for found, obj in live.items() if found.kind == CLAIM.kind),
                    *(pod_problem(obj) for found, obj in live.items() if found.kind == POD.kind),
                    None if deployment is None else deployment_problem(deployment),
                )
            ),
        )
        obj = context.store.get(key(MODEL, model.name)) or model.raw
        status = model_status(model, seen, context.now_us())
        again = await self._statuses.write(obj, status.manifest())
        ready = condition_of(status.conditions, ConditionType.READY)
        was = condition_of(model.status.conditions, ConditionType.READY)
        degraded = condition_of(status.conditions, ConditionType.DEGRADED)
        if ready is not None and ready.status == "True" and (was is None or was.status != "True"):
            await context.events.tell(model.raw, "Normal", "Ready", ready.message)
        if degraded is not None and degraded.status == "True":
            await context.events.tell(model.raw, "Warning", degraded.reason, degraded.message)
            return min(again or _LOOK_AGAIN_S, _LOOK_AGAIN_S)
        return again

    def _secret_problem(self, model: Model) -> Problem | None:
        endpoint = model.spec.endpoint
        if endpoint is None or endpoint.auth_secret_ref is None:
            return None
        wanted = endpoint.auth_secret_ref
        if f"{wanted.name}/{wanted.key}" not in self._context.surroundings.missing_secrets:
            return None
        return Problem(
            Reason.SECRET_MISSING,
            f"spec.endpoint.authSecretRef: there is no Secret {wanted.name!r} with the key {wanted.key!r}",
        )

    async def _tell_unreadable(self, obj: Manifest, error: InvalidArgument) -> float | None:
        """Its children and its route stay as they are."""
        old = status_of(ExternalModelStatus, obj)
        generation = int(obj["metadata"].get("generation", 0))
        problem = Problem.of(Reason.INVALID_SPEC, error.message)
        status = old.model_copy(
            update={
                "observed_generation": generation,
                "phase": Phase.DEGRADED,
                "conditions": conditions(old.conditions, generation, (problem, None), self._context.now_us()),
            }
        )
        await self._statuses.write(obj, status.manifest())
        await self._context.events.tell(obj, "Warning", Reason.INVALID_SPEC, error.message)
        return None
