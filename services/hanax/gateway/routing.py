"""The routing table in force: swapped whole, from any thread, and read without a lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hanax.core.errors import (
    CollectionNotFound,
    DeadlineExceeded,
    ModelNotFound,
    Unavailable,
)
from hanax.core.library_names import check_changeable
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import CollectionRoute, RoutingTable
from hanax.gateway.guard.caller import ANYONE, Caller
from hanax.gateway.guard.scopes import Scope


class Routing:
    """A request that took the table keeps that one; the next request sees the newer one."""

    def __init__(self) -> None:
        self._table: RoutingTable | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[RoutingTable], None]] = []

    def attach(self) -> None:
        """Announce changes in the running event loop from now on."""
        self._loop = asyncio.get_running_loop()

    def subscribe(self, listener: Callable[[RoutingTable], None]) -> None:
        """Call `listener` in the event loop after every change."""
        self._listeners.append(listener)

    def apply(self, table: RoutingTable) -> None:
        """Put a newer table in force. Called by the thread that follows the routing file."""
        self._table = table
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._announce, table)

    @property
    def loaded(self) -> bool:
        return self._table is not None

    @property
    def table(self) -> RoutingTable:
        """Raises Unavailable until the first table is there."""
        if self._table is None:
            raise Unavailable("the gateway has no routing table yet")
        return self._table

    def readable(self, caller: Caller, name: str) -> CollectionRoute:
        """By its name or an alias, for a caller who may read it.

        Raises Unauthenticated, PermissionDenied, CollectionNotFound or CollectionSuspended; whoever may not
        read it is not told whether it is there.
        """
        return self._find(caller, Scope.READ, name)

    def writable(self, caller: Caller, name: str) -> CollectionRoute:
        """As `readable`, for points to be written. Raises CollectionOfLibrary for a library's."""
        route = self._find(caller, Scope.WRITE, name)
        check_changeable(route.spec.name)
        return route

    def of_library(self, name: str) -> CollectionRoute:
        """The collection of a library that the caller may use."""
        return self._find(ANYONE, Scope.READ, name)

    def _find(self, caller: Caller, scope: Scope, name: str) -> CollectionRoute:
        table = self.table
        own_name = table.resolve(name)
        caller.require(scope, own_name, name)
        route = table.collection_by_name.get(own_name)
        if route is None:
            shown = name if len(name) <= 63 else name[:60] + "..."
            raise CollectionNotFound(f"there is no collection {shown!r}", collection=shown)
        route.check_resumed()
        return route

    def model(self, name: str) -> ModelRoute:
        """Raises ModelNotFound, naming the models that are served."""
        table = self.table
        route = table.model_by_name.get(name)
        if route is None:
            known = ", ".join(sorted(table.model_by_name)) or "none"
            raise ModelNotFound(
                f"no embedding model {name[:128]!r} is served; served are: {known}",
                model=name[:128],
            )
        return route

    async def wait_for(
        self, condition: Callable[[RoutingTable], bool], deadline: float, clock: Callable[[], float]
    ) -> None:
        """Return once a table in force meets `condition`. Raises DeadlineExceeded."""
        while True:
            # Taken before the look, so that a change right after it is not missed.
            changed = self._changed
            if self._table is not None and condition(self._table):
                return
            try:
                async with asyncio.timeout(max(0.0, deadline - clock())):
                    await changed.wait()
            except TimeoutError:
                raise DeadlineExceeded("the routing table did not change in time") from None

    def _announce(self, table: RoutingTable) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for listener in self._listeners:
            listener(table)
