"""The routing table: planned anew whenever something changed, and written when it differs.

One task writes it, for all collections and models at once: 200 collections made together are a few revisions,
not 200. The write is conditional on the ConfigMap that was read, so that of two operators (there is one
leader, but one that lost its lease may not know it yet) only one gets through.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import structlog

from hanax.core.errors import DataLoss, HanaxError, RoutingTableTooLarge
from hanax.core.planning import plan
from hanax.core.resources.conditions import Reason
from hanax.core.resources.names import APP, APP_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from hanax.core.routing import Aliases, CollectionRoute, RoutingTable
from hanax.core.routing_config_map import aliases_from_config_map, from_config_map, to_config_map_data
from hanax_operator.context import Context
from hanax_operator.metrics import REVISION, WRITES
from hanax_operator.model_pods import ModelPods
from hanax_operator.objects import COLLECTION, CONFIG_MAP, POD, STATEFUL_SET, Manifest, key
from hanax_operator.plan.routing import Declared, observation, pool_nodes, told_revision
from hanax_operator.problems import Problem
from hanax_operator.queue import Backoff

log = structlog.get_logger()

# Changes come in groups; a collection should be routed within 100 ms of being declared.
_DEBOUNCE_S = 0.05


class Publisher:
    """Owns the routing ConfigMap. `table` is the one in force; `problem`: why a newer one is not."""

    def __init__(self, context: Context, rng: random.Random) -> None:
        self.table = RoutingTable()
        self.problem: Problem | None = None
        self._context = context
        self._backoff: Backoff[str] = Backoff(rng)
        self._asked = asyncio.Event()
        self._model_pods = ModelPods(context.clock_s)
        # Until a change that was held back is due; None: nothing waits.
        self._again_s: float | None = None
        self._read_version = ""
        # Revision by uid at which a collection was first seen to be out of the table.
        self._left_at: dict[str, int] = {}

    def request(self) -> None:
        """Something changed that the table depends on."""
        self._asked.set()

    def route(self, name: str, uid: str) -> CollectionRoute | None:
        """The collection's route in the table in force."""
        found = self.table.collection_by_name.get(name)
        return found if found is not None and found.uid == uid else None

    def left_at(self, uid: str) -> int:
        """A revision of the table that does not have the collection any more. It is out already."""
        return self._left_at.setdefault(uid, self.table.revision)

    def forget(self, uid: str) -> None:
        self._left_at.pop(uid, None)

    def has_pool(self) -> bool:
        """Whether there is a node that takes shards by load."""
        return bool(pool_nodes(self._pool_stateful_set(), self._context.release))

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._is_due()
            await asyncio.sleep(_DEBOUNCE_S)
            self._asked.clear()
            try:
                await self.publish()
            except Exception as error:
                # Whatever it is: the table in force stays, and collections that it has go on being served.
                pause = self._backoff.next_pause("")
                defect = None if isinstance(error, HanaxError) else error
                log.error("routing table not renewed", error=str(error), exc_info=defect)
                why = error if defect is None else repr(error)
                self._tell(Problem.of(Reason.APPLY_FAILED, f"the routing table can't be renewed: {why}"))
                await asyncio.sleep(pause)
                self._asked.set()
            else:
                self._backoff.reset("")

    async def publish(self) -> bool:
        """Plan, and write when something changed. True when a new revision is in force.

        Raises what the API server says, and FailedPrecondition of `plan`; the table in force stays then.
        """
        declared = self._declared()
        live = self._live()
        previous, must_write = self._in_force(live, declared)
        pool = pool_nodes(self._pool_stateful_set(), self._context.release)
        seen = observation(previous, declared, pool, self._context.release)
        # Aside: with thousands of collections it takes longer than a heartbeat of the lease should wait.
        table = await asyncio.to_thread(plan, previous, seen)
        if table is None and must_write:
            table = previous.model_copy(update={"revision": previous.revision + 1})
        if table is None:
            self._take(previous)
            self._tell(None)
            return False
        try:
            data = await asyncio.to_thread(to_config_map_data, table)
        except RoutingTableTooLarge as error:
            self._take(previous)
            self._tell(Problem.of(Reason.ROUTING_TABLE_TOO_LARGE, error.message))
            return False
        await self._write(live, *data)
        self._take(table)
        self._tell(None)
        log.info("routing table", revision=table.revision, collections=len(table.collections))
        return True

    async def _is_due(self) -> None:
        # Not wait_for: before Python 3.12 it loses a cancellation that comes with the request.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._again_s):
                await self._asked.wait()

    def _declared(self) -> Declared:
        declarations = self._context.declarations
        model_pods = self._model_pods.addresses(self._context.store.of_kind(POD))
        self._again_s = model_pods.again_s
        return Declared(
            collections=tuple(declarations.collections.readable()),
            models=tuple(declarations.models.readable()),
            unreadable_collections=tuple(declarations.collections.damaged()),
            unreadable_models=tuple(declarations.models.damaged()),
            aliases=self.declared_aliases(),
            model_pods=model_pods.by_model,
        )

    def declared_aliases(self) -> Aliases | None:
        """The aliases as gateways keep them; None where they can't be read."""
        found = self._context.store.get(key(CONFIG_MAP, self._context.release.aliases_config_map))
        if found is None:
            # Without the table in force nobody knows of any; with it they may only have been out of sight.
            return None
        try:
            return aliases_from_config_map(found)
        except DataLoss as error:
            log.error("aliases can't be read, they stay as they are", error=error.message)
            return None

    def _in_force(self, live: Manifest | None, declared: Declared) -> tuple[RoutingTable, bool]:
        """The table to plan from, and whether it has to be written in any case.

        The ConfigMap's, unless it is lost, damaged or older than what this process or any follower has
        seen: followers refuse an older revision.
        """
        stored = self._stored(live)
        known = self.table if stored is None or self.table.revision > stored.revision else stored
        if known.revision == 0:
            known = RoutingTable(revision=told_revision(declared.collections))
        followed = self._context.nodes.latest_revision()
        if followed > known.revision:
            known = known.model_copy(update={"revision": followed})
        return known, stored is None or known.revision != stored.revision

    def _stored(self, found: Manifest | None) -> RoutingTable | None:
        if found is None:
            return None
        version = found["metadata"].get("resourceVersion", "")
        if version == self._read_version:
            return self.table
        try:
            table = from_config_map(found)
        except DataLoss as error:
            log.error("the routing ConfigMap is damaged, it is written anew", error=error.message)
            return None
        if table.revision >= self.table.revision:
            self._take(table)
            self._read_version = version
        return table

    async def _write(self, live: Manifest | None, data: dict[str, str], binary: dict[str, str]) -> None:
        """`live`: the ConfigMap that was planned from; the write fails when it is another by now."""
        context = self._context
        name = context.release.routing_config_map
        manifest: Manifest = {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.kind,
            "metadata": {
                "name": name,
                "namespace": context.release.namespace,
                "labels": {APP_LABEL: APP, MANAGED_BY_LABEL: MANAGED_BY},
            },
            "data": data,
            "binaryData": binary,
        }
        WRITES.labels(CONFIG_MAP.kind, "patch" if live else "create").inc()
        try:
            if live is None:
                written = await context.api.create(manifest)
            else:
                version = {"resourceVersion": live["metadata"]["resourceVersion"]}
                patch = {**manifest, "metadata": {**manifest["metadata"], **version}}
                written = await context.api.merge_patch(key(CONFIG_MAP, name), patch)
        except HanaxError:
            # Someone else was first, or our view is old: read it, for the next attempt to plan from.
            found = await context.api.get(key(CONFIG_MAP, name))
            if found is not None:
                context.store.put(found, was_read=True)
            elif live is not None:
                context.store.drop(live)
            raise
        context.store.put(written)
        self._read_version = written["metadata"].get("resourceVersion", "")

    def _take(self, table: RoutingTable) -> None:
        """Make a table the one in force, and wake the collections that it concerns."""
        old, self.table = self.table, table
        REVISION.set(table.revision)
        before, after = old.collection_by_name, table.collection_by_name
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                self._context.queue.add(key(COLLECTION, name))

    def _tell(self, problem: Problem | None) -> None:
        """Wake the collections that wait for the table when what keeps it from them changes."""
        if problem == self.problem:
            return
        self.problem = problem
        for collection in self._context.declarations.collections.readable():
            route = self.route(collection.name, collection.uid)
            if route is None or route.generation < collection.generation:
                self._context.queue.add(key(COLLECTION, collection.name))

    def _live(self) -> Manifest | None:
        return self._context.store.get(key(CONFIG_MAP, self._context.release.routing_config_map))

    def _pool_stateful_set(self) -> Manifest | None:
        name = self._context.release.pool_stateful_set
        return self._context.store.get(key(STATEFUL_SET, name)) if name else None
