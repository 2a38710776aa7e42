"""The only writer of children. What is already as wanted is not written."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from hanax.core.errors import NotFound
from hanax_operator.api import Api
from hanax_operator.metrics import WRITES
from hanax_operator.plan.actions import Action, Apply, Patch
from hanax_operator.store import Store

log = structlog.get_logger()


class Applier:
    """Carries actions out in order, and lets the store know at once what came of them."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store

    async def run(self, actions: Iterable[Action]) -> None:
        """Raises what the API server says; actions after that one are not carried out."""
        for action in actions:
            await self._run(action)

    async def _run(self, action: Action) -> None:
        verb = type(action).__name__.lower()
        WRITES.labels(action.key.kind, verb).inc()
        if isinstance(action, Apply):
            applied = await self._api.apply(action.manifest, action.manager, force=action.force)
            self._store.put(applied)
        elif isinstance(action, Patch):
            try:
                self._store.put(await self._api.merge_patch(action.key, action.patch))
            except NotFound:
                return
        else:
            known = self._store.get(action.key)
            try:
                await self._api.delete(action.key, action.uid)
            except NotFound:
                # It went unseen. Kept, it would be deleted, and waited for, again and again.
                if known is not None:
                    self._store.drop(known)
        log.info("object written", verb=verb, object=str(action.key), reason=action.reason)
