"""Collections: declared in a catalog, served once the routing table and the shards have them.

The gateway places nothing itself. It declares or withdraws a collection, and waits until whoever
reconciles the catalog has made it true.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.catalog import CatalogEntry
from hanax.core.errors import CollectionNotFound, DeadlineExceeded, HanaxError, RevisionConflict, Unavailable
from hanax.core.library_names import check_changeable, check_free
from hanax.core.routing import Aliases, CollectionRoute, RoutingTable
from hanax.core.specs import CollectionChange, CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.collection_states import CollectionStates, Described, Listed, listed_of, revision_of
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.registry import check_dimension
from hanax.gateway.requests import change_spec
from hanax.gateway.routing import Routing
from hanax.gateway.shards import Shards

_NAME_FORM: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

# A description tells soon that a shard is away, where a search would wait for it.
_DESCRIBE_TIMEOUT_S: Final = 2.0
_OPEN_POLL_S: Final = 0.02

# Refused to a caller whose points are forced, administrator or not: a collection has points of others.
_CHANGES: Final = "a change of a collection"


class Catalog(Protocol):
    """Where collections are declared. Its methods block: they are called in a thread."""

    def create(self, spec: CollectionSpec, now_us: int) -> CatalogEntry: ...
    def update(self, name: str, change: Callable[[CollectionSpec], CollectionSpec]) -> CatalogEntry: ...
    def delete(self, name: str, with_aliases: bool) -> None: ...
    def entries(self) -> list[CatalogEntry]: ...
    def aliases(self) -> Aliases: ...
    def change_aliases(self, changes: Mapping[str, str | None]) -> Aliases: ...


class Collections:
    def __init__(
        self,
        routing: Routing,
        shards: Shards,
        catalog: Catalog,
        metrics: Metrics,
        create_timeout_s: float,
        now_us: Callable[[], int],
    ) -> None:
        self._routing = routing
        self._states = CollectionStates(routing, shards)
        self._catalog = catalog
        self._metrics = metrics
        self._create_timeout_s = create_timeout_s
        self._now_us = now_us

    async def create(self, call: Call, spec: CollectionSpec) -> Described:
        """As `declare`, of a collection that is no library's. Raises InvalidArgument for such a name."""
        call.caller.require(Scope.ADMIN, spec.name)
        call.caller.require_unconfined(_CHANGES)
        check_free(spec.name)
        return await self.declare(call, spec)

    async def update(
        self, call: Call, name: str, change: CollectionChange, if_revision: str | None = None
    ) -> Described:
        """As `redeclare`. Raises CollectionOfLibrary for a library's."""
        own_name = self._allowed(call, Scope.ADMIN, name)
        call.caller.require_unconfined(_CHANGES)
        check_changeable(own_name)
        return await self.redeclare(call, name, change, if_revision)

    async def delete(self, call: Call, name: str, with_aliases: bool, if_revision: str | None = None) -> str:
        """As `withdraw`, where it has the revision. Raises CollectionOfLibrary for a library's, and
        RevisionConflict.
        """
        own_name = self._allowed(call, Scope.ADMIN, name)
        call.caller.require_unconfined(_CHANGES)
        check_changeable(own_name)
        if if_revision is not None:
            # A change between this look and the end of the collection is lost with it.
            listed = (await self._described(call, own_name)).listed
            _check_revision(own_name, listed.revision, if_revision)
        return await self.withdraw(call, name, with_aliases)

    async def declare(self, call: Call, spec: CollectionSpec) -> Described:
        """Declare a collection and wait until every shard has it open.

        Raises CollectionExists, ModelNotFound, ModelConflict, or DeadlineExceeded when it is
        declared but not served in time.
        """
        with self._metrics.changing("create_collection", spec.name, call):
            if spec.embedding_model is not None:
                check_dimension(spec, self._routing.model(spec.embedding_model))
            call.grant(self._create_timeout_s)
            call.must_end = True
            entry = await asyncio.to_thread(self._catalog.create, spec, self._now_us())
            return await self._wait_until_served(call, entry)

    async def redeclare(
        self, call: Call, name: str, change: CollectionChange, if_revision: str | None = None
    ) -> Described:
        """Change how a collection is searched, and wait until every shard goes by it.

        What was not set in `change` stays. Segments are rebuilt in the background. if_revision: which it must
        have; no other change comes between that look and this one. Raises CollectionNotFound,
        InvalidArgument for what can't be built, RevisionConflict or DeadlineExceeded.
        """
        with self._metrics.changing("update_collection", name, call):
            name = self._resolve(name)
            uid = "" if if_revision is None else (await self._described(call, name)).listed.uid

            def changed(spec: CollectionSpec) -> CollectionSpec:
                if if_revision is not None:
                    _check_revision(name, revision_of(uid, spec), if_revision)
                return change_spec(spec, change)

            call.grant(self._create_timeout_s)
            call.must_end = True
            entry = await asyncio.to_thread(self._catalog.update, name, changed)
            return await self._wait_until_served(call, entry)

    async def withdraw(self, call: Call, name: str, with_aliases: bool) -> str:
        """Withdraw a collection and wait until the routing table has let go of it; its own name.

        Raises CollectionNotFound, CollectionHasAliases, or DeadlineExceeded when it is withdrawn but still
        served.
        """
        with self._metrics.changing("delete_collection", name, call):
            name = self._resolve(name)
            call.grant(self._create_timeout_s)
            call.must_end = True
            route = self._routing.table.collection_by_name.get(name)
            await asyncio.to_thread(self._catalog.delete, name, with_aliases)
            if route is None:
                return name

            def gone(table: RoutingTable) -> bool:
                served = table.collection_by_name.get(name)
                return served is None or served.uid != route.uid

            try:
                with call.waiting("routing"):
                    await self._routing.wait_for(gone, call.deadline, call.clock)
            except DeadlineExceeded:
                raise DeadlineExceeded(
                    f"collection {name!r} is withdrawn, but the routing table still has it "
                    f"after {self._create_timeout_s:g} s",
                    collection=name,
                ) from None
            return name

    async def list(self, call: Call) -> list[Listed]:
        """All declared collections that the caller may read, by name."""
        with self._metrics.reading("list_collections", None, call):
            call.caller.require_some(Scope.READ, "collections")
            entries = await asyncio.to_thread(self._catalog.entries)
            entries.sort(key=lambda entry: entry.spec.name)
            return [
                listed_of(entry, self._routing.table)
                for entry in entries
                if call.caller.allows(Scope.READ, entry.spec.name)
            ]

    async def describe(self, call: Call, name: str) -> Described:
        """One collection and each of its shards; to callers whose points are forced, nothing of the shards,
        which hold those of others. Raises CollectionNotFound.
        """
        with self._metrics.reading("describe_collection", name, call):
            name = self._allowed(call, Scope.READ, name)
            described = await self._described(call, name)
            if call.caller.forced is not None:
                return Described(described.listed, None, [])
            return described

    async def described(self, call: Call, name: str) -> Described:
        """The same for whoever may use the library that it belongs to."""
        with self._metrics.reading("describe_collection", name, call):
            return await self._described(call, name)

    async def _described(self, call: Call, name: str) -> Described:
        route = self._routing.table.collection_by_name.get(name)
        if route is not None:
            return await self._states.look(call, route, _DESCRIBE_TIMEOUT_S)
        for entry in await asyncio.to_thread(self._catalog.entries):
            if entry.spec.name == name:
                return Described(listed_of(entry, self._routing.table), None, [])
        raise CollectionNotFound(f"there is no collection {name!r}", collection=name)

    def _allowed(self, call: Call, scope: Scope, name: str) -> str:
        """The collection's own name, for a caller who may. Raises Unauthenticated or PermissionDenied."""
        own_name = self._resolve(name)
        call.caller.require(scope, own_name, name)
        return own_name

    def _resolve(self, name: str) -> str:
        """The collection's own name, for one or an alias. Raises CollectionNotFound for what is no name."""
        check_name(name)
        return self._routing.table.resolve(name)

    async def _wait_until_served(self, call: Call, entry: CatalogEntry) -> Described:
        """As it is declared now, by every shard."""

        def routed(table: RoutingTable) -> bool:
            route = table.collection_by_name.get(entry.spec.name)
            return route is not None and route.uid == entry.uid and route.generation >= entry.generation

        try:
            with call.waiting("routing"):
                await self._routing.wait_for(routed, call.deadline, call.clock)
        except DeadlineExceeded:
            raise self._not_in_time(entry.spec.name, "placed on shards") from None
        return await self._wait_until_open(call, self._routing.table.collection_by_name[entry.spec.name])

    async def _wait_until_open(self, call: Call, route: CollectionRoute) -> Described:
        while True:
            left = call.deadline - call.clock()
            if left <= 0:
                raise self._not_in_time(route.spec.name, "opened by every shard")
            described = await self._states.look(call, route, left)
            if described.listed.state == "suspended":
                return described
            if described.listed.state == "ready" and all(
                _goes_by(state.answer, route.generation) for state in described.shards
            ):
                return described
            for state in described.shards:
                # A shard that has not read the routing table yet does not know the collection.
                if isinstance(state.answer, HanaxError) and not isinstance(
                    state.answer, CollectionNotFound | Unavailable | DeadlineExceeded
                ):
                    raise state.answer
            await asyncio.sleep(_OPEN_POLL_S)

    def _not_in_time(self, name: str, what: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"collection {name!r} is declared, but was not {what} within "
            f"{self._create_timeout_s:g} s; its description says when it is ready",
            collection=name,
        )


def _goes_by(answer: pb.DescribeResponse | HanaxError, generation: int) -> bool:
    """Whether a shard has taken up the collection's spec."""
    return not isinstance(answer, HanaxError) and answer.generation >= generation


def check_name(name: str) -> None:
    """A name that nothing can have is not there; and it must not reach a file system."""
    if not _NAME_FORM.fullmatch(name):
        raise CollectionNotFound(
            f"there is no collection {name[:63]!r}: a name has 1 to 63 lower-case letters, "
            "digits and '-', not at either end"
        )


def _check_revision(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise RevisionConflict(
            f"collection {name!r} has revision {found}, the request is for {expected}",
            collection=name,
            expected=expected,
            found=found,
        )
