"""The routing table: which node serves which shard, and where the models are.

One document, replaced whole. Revisions only grow; a reader keeps the last good table and
refuses an older one. Shards and gateways follow it level by level: it says what should be, and
nobody is sent a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from hanax.core.errors import CollectionSuspended
from hanax.core.index_specs import Spec
from hanax.core.limits import MAX_ALIASES, SLOTS
from hanax.core.model_routes import ModelRoute
from hanax.core.specs import CollectionName, CollectionSpec

# A part of a directory's name: a UUID with or without hyphens in practice.
CollectionUid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]


class NodeRoute(Spec):
    """An index-shard process. `name` is its identity, `address` is host:port of its gRPC server."""

    name: str
    address: str


class ShardRoute(Spec):
    """One shard of a collection: slots [first_slot, last_slot], and the nodes that hold a copy."""

    shard: int = Field(ge=0)
    first_slot: int = Field(ge=0, lt=SLOTS)
    last_slot: int = Field(ge=0, lt=SLOTS)
    replicas: tuple[str, ...] = Field(min_length=1)


class CollectionRoute(Spec):
    """`uid` tells this collection from an earlier one of the same name, `generation` its specs apart.

    suspended: no shard is open; all data stays where it is.
    """

    uid: CollectionUid
    generation: int = Field(1, ge=1)
    spec: CollectionSpec
    created_at_us: int = 0
    suspended: bool = False
    shards: tuple[ShardRoute, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _slots_are_covered_once(self) -> CollectionRoute:
        expected = 0
        for number, shard in enumerate(self.shards):
            if (shard.shard, shard.first_slot) != (number, expected):
                raise ValueError(f"shard {number} must start at slot {expected}")
            if shard.last_slot < shard.first_slot:
                raise ValueError(f"shard {number} ends before it starts")
            if len(set(shard.replicas)) != len(shard.replicas):
                raise ValueError(f"shard {number} names a node twice")
            expected = shard.last_slot + 1
        if expected != SLOTS:
            raise ValueError(f"slots {expected} to {SLOTS - 1} belong to no shard")
        return self

    @cached_property
    def shard_by_slot(self) -> tuple[int, ...]:
        """Shard number of every slot."""
        return tuple(
            shard.shard for shard in self.shards for _ in range(shard.first_slot, shard.last_slot + 1)
        )

    def check_resumed(self) -> None:
        """Raises CollectionSuspended for a collection that is not to be served."""
        if self.suspended:
            raise CollectionSuspended(
                f"collection {self.spec.name!r} is suspended: its data is kept, and served once resumed",
                collection=self.spec.name,
            )


class DeletedCollection(Spec):
    """Its data may be removed, wherever it still lies."""

    name: CollectionName
    uid: CollectionUid


class Aliases(Spec):
    """Other names of collections. `generation` counts the changes, each of which is made as one."""

    generation: int = Field(0, ge=0)
    collection_by_alias: dict[CollectionName, CollectionName] = Field(
        default_factory=dict, max_length=MAX_ALIASES
    )

    def of(self, collection: str) -> list[str]:
        """The aliases that point to a collection, in order."""
        return sorted(alias for alias, name in self.collection_by_alias.items() if name == collection)


class RoutingTable(Spec):
    revision: int = Field(0, ge=0)
    nodes: tuple[NodeRoute, ...] = ()
    collections: tuple[CollectionRoute, ...] = ()
    deleted: tuple[DeletedCollection, ...] = ()
    models: tuple[ModelRoute, ...] = ()
    aliases: Aliases = Aliases()

    @model_validator(mode="after")
    def _names_are_known_and_unique(self) -> RoutingTable:
        nodes = [node.name for node in self.nodes]
        names = [route.spec.name for route in self.collections]
        models = [model.name for model in self.models]
        uids = [route.uid for route in self.collections]
        for kind, found in (
            ("node", nodes),
            ("collection", names),
            ("model", models),
            ("collection uid", uids),
        ):
            if len(set(found)) != len(found):
                raise ValueError(f"a {kind} is named twice")
        if alive := set(uids) & {gone.uid for gone in self.deleted}:
            raise ValueError(f"collections {sorted(alive)} are both present and deleted")
        for alias, name in self.aliases.collection_by_alias.items():
            if alias in names:
                raise ValueError(f"{alias} is both an alias and a collection")
            if name not in names:
                raise ValueError(f"the alias {alias} names an unknown collection {name}")
        for route in self.collections:
            for shard in route.shards:
                if unknown := set(shard.replicas) - set(nodes):
                    raise ValueError(f"{route.spec.name} names unknown nodes {sorted(unknown)}")
        return self

    @cached_property
    def collection_by_name(self) -> dict[str, CollectionRoute]:
        return {route.spec.name: route for route in self.collections}

    def resolve(self, name: str) -> str:
        """The collection that an alias stands for; any other name as it is."""
        return self.aliases.collection_by_alias.get(name, name)

    @cached_property
    def model_by_name(self) -> dict[str, ModelRoute]:
        return {model.name: model for model in self.models}

    @cached_property
    def address_by_node(self) -> dict[str, str]:
        return {node.name: node.address for node in self.nodes}

    def assigned_to(self, node: str) -> Iterator[tuple[CollectionRoute, ShardRoute]]:
        """Every shard replica that the node should have open."""
        for route in self.collections:
            if route.suspended:
                continue
            for shard in route.shards:
                if node in shard.replicas:
                    yield route, shard


def spread_slots(shards: int) -> list[tuple[int, int]]:
    """Divide the slots into contiguous ranges that differ by at most one slot."""
    bounds = [SLOTS * number // shards for number in range(shards + 1)]
    return [(first, after - 1) for first, after in pairwise(bounds)]
