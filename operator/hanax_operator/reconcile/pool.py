"""The shard pool's volumes. The pool is the chart's, but no upgrade of a chart can make a volume larger."""

from __future__ import annotations

from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.resources.conditions import Reason
from hanax.core.resources.names import POOL_LABEL
from hanax_operator.context import Context
from hanax_operator.objects import CLAIM, STATEFUL_SET, key
from hanax_operator.store import present
from hanax_operator.volumes import plan_pool_volumes


class PoolReconciler:
    """Tells what it did, and what it could not do, in events of the StatefulSet."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, name: str) -> None:
        """Ask for the size that is wanted. Raises what the API server says."""
        context = self._context
        pool = present(context.store.get(key(STATEFUL_SET, name)))
        if pool is None:
            return
        labelled = context.store.labelled(POOL_LABEL, name)
        claims = {found.name: obj for found, obj in labelled.items() if found.kind == CLAIM.kind}
        try:
            actions, problems = plan_pool_volumes(pool, claims, context.surroundings.storage_classes)
        except InvalidArgument as error:
            await context.events.tell(pool, "Warning", Reason.INVALID_SPEC, error.message)
            return
        for problem in problems:
            await context.events.tell(pool, "Warning", problem.reason, problem.message)
        for action in actions:
            try:
                await context.applier.run([action])
            except HanaxError as error:
                await context.events.tell(pool, "Warning", Reason.APPLY_FAILED, error.message)
                raise
            await context.events.tell(pool, "Normal", Reason.GROWING_VOLUMES, action.reason)
