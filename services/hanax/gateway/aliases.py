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
from hanax.gateway.metrics import Metrics
from hanax.gateway.routing import Routing


class AliasNames:
    def __init__(self, routing: Routing, catalog: Catalog, metrics: Metrics, timeout_s: float) -> None:
        self._routing = routing
        self._catalog = catalog
        self._metrics = metrics
        self._timeout_s = timeout_s

    async def list(self) -> Mapping[str, str]:
        """All collections by their aliases, as declared."""
        with self._metrics.operation("list_aliases", None):
            return (await asyncio.to_thread(self._catalog.aliases)).collection_by_alias

    async def find(self, alias: str) -> str:
        """The collection that an alias stands for. Raises AliasNotFound."""
        with self._metrics.operation("get_alias", None):
            declared = await asyncio.to_thread(self._catalog.aliases)
            collection = declared.collection_by_alias.get(alias)
            if collection is None:
                raise AliasNotFound(f"there is no alias {alias[:63]!r}", alias=alias[:63])
            return collection

    async def switch(self, call: Call, request: AliasSwitchRequest) -> Mapping[str, str]:
        """Make, move and remove aliases at one moment; all that there are then.

        In force here on return, in other gateways as soon as they read the routing table. Raises
        CollectionNotFound, AliasNotFound, CollectionExists, InvalidArgument for an alias that is changed
        twice, FailedPrecondition for too many, or DeadlineExceeded when it is declared but not in force.
        """
        with self._metrics.operation("switch_aliases", None):
            changes: dict[str, str | None] = {}
            for number, change in enumerate(request.changes):
                if change.alias in changes:
                    raise InvalidArgument(f"changes[{number}].alias: {change.alias!r} is changed twice")
                if change.collection is not None:
                    check_name(change.collection)
                changes[change.alias] = change.collection
            call.grant(self._timeout_s)
            call.must_end = True
            declared = await asyncio.to_thread(self._catalog.change_aliases, changes)
            await self._wait_until_in_force(call, declared)
            return declared.collection_by_alias

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
