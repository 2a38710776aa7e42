"""Aliases: other names of collections, changed in the catalog and in force with the next routing table.

A request takes one table and keeps it, so that it sees a collection from before a switch or from after it,
and all aliases of one switch change for it together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hanax.core.errors import AliasNotFound, DeadlineExceeded, InvalidArgument
from hanax.core.routing import Aliases, RoutingTable
from hanax.gateway.calls import Call
from hanax.gateway.change_requests import AliasSwitchRequest
from hanax.gateway.collections import Catalog, check_name
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.routing import Routing


class AliasNames:
    def __init__(self, routing: Routing, catalog: Catalog, metrics: Metrics, timeout_s: float) -> None:
        self._routing = routing
        self._catalog = catalog
        self._metrics = metrics
        self._timeout_s = timeout_s

    async def list(self, call: Call) -> Mapping[str, str]:
        """All collections that the caller may read by their aliases, as declared."""
        with self._metrics.reading("list_aliases", None, call):
            caller = call.caller
            caller.require_some(Scope.READ, "aliases")
            declared = (await asyncio.to_thread(self._catalog.aliases)).collection_by_alias
            if caller.unbound:
                return declared
            return {alias: name for alias, name in declared.items() if caller.allows(Scope.READ, name)}

    async def find(self, call: Call, alias: str) -> str:
        """The collection that an alias stands for. AliasNotFound also where it is not for the caller."""
        with self._metrics.reading("get_alias", None, call):
            call.caller.require_some(Scope.READ, "aliases")
            declared = await asyncio.to_thread(self._catalog.aliases)
            collection = declared.collection_by_alias.get(alias)
            if collection is None or not call.caller.allows(Scope.READ, collection):
                raise AliasNotFound(f"there is no alias {alias[:63]!r}", alias=alias[:63])
            return collection

    async def switch(self, call: Call, request: AliasSwitchRequest) -> Mapping[str, str]:
        """Make, move and remove aliases at one moment; all that there are then.

        In force here on return, in other gateways as soon as they read the routing table. Raises
        CollectionNotFound, AliasNotFound, CollectionExists, InvalidArgument for an alias that is changed
        twice, FailedPrecondition for too many, or DeadlineExceeded when it is declared but not in force.
        """
        with self._metrics.changing("switch_aliases", None, call):
            changes: dict[str, str | None] = {}
            for number, change in enumerate(request.changes):
                if change.alias in changes:
                    raise InvalidArgument(f"changes[{number}].alias: {change.alias!r} is changed twice")
                if change.collection is not None:
                    check_name(change.collection)
                changes[change.alias] = change.collection
            self._check_rights(call, changes)
            call.grant(self._timeout_s)
            call.must_end = True
            declared = await asyncio.to_thread(self._catalog.change_aliases, changes)
            await self._wait_until_in_force(call, declared)
            return declared.collection_by_alias

    def _check_rights(self, call: Call, changes: Mapping[str, str | None]) -> None:
        """Over each alias by its name, and over the collections that it leaves and comes to.

        Raises Unauthenticated or PermissionDenied.
        """
        caller = call.caller
        if caller.unbound:
            return
        caller.require_unconfined("an alias")
        for alias, collection in changes.items():
            caller.require(Scope.ADMIN, alias)
            caller.require(Scope.ADMIN, self._routing.table.resolve(alias), alias)
            if collection is not None:
                caller.require(Scope.ADMIN, collection)

    async def _wait_until_in_force(self, call: Call, declared: Aliases) -> None:
        def in_force(table: RoutingTable) -> bool:
            return table.aliases.generation >= declared.generation

        try:
            with call.waiting("routing"):
                await self._routing.wait_for(in_force, call.deadline, call.clock)
        except DeadlineExceeded:
            raise DeadlineExceeded(
                f"the aliases are declared, but the routing table has not taken them up within "
                f"{self._timeout_s:g} s"
            ) from None
