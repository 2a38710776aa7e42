"""What the routing table should be: the table in force and what is observed in, the next one out.

Placement is sticky: a shard that has a node keeps it for as long as its collection lives,
because its data lies there and nothing on one machine moves it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hanax.core.errors import FailedPrecondition
from hanax.core.routing import (
    Aliases,
    CollectionRoute,
    DeletedCollection,
    ModelRoute,
    NodeRoute,
    RoutingTable,
    ShardRoute,
    spread_slots,
)
from hanax.core.specs import CHANGEABLE
from hanax.runtime.catalog_folder import CatalogEntry

# A shard that was away for longer than this many deletions keeps an orphaned folder; the table
# stays small enough to be written and read at every change.
MAX_DELETED = 1_000


@dataclass(frozen=True)
class Observation:
    """What is true now. `damaged` are the names of entries that can't be read.

    aliases: None where they can't be read.
    """

    entries: tuple[CatalogEntry, ...]
    damaged: Collection[str]
    nodes: tuple[NodeRoute, ...]
    models: tuple[ModelRoute, ...]
    aliases: Aliases | None


def plan(previous: RoutingTable, seen: Observation) -> RoutingTable | None:
    """Return the next table, one revision later, or None when `previous` says it already.

    Raises FailedPrecondition when a node that holds data is no longer there.
    """
    collections = _plan_collections(previous, seen)
    table = RoutingTable(
        revision=previous.revision + 1,
        nodes=seen.nodes,
        collections=collections,
        deleted=_plan_deleted(previous, collections),
        models=tuple(sorted(seen.models, key=lambda model: model.name)),
        aliases=_plan_aliases(previous, seen.aliases, collections),
    )
    unchanged = table.model_copy(update={"revision": previous.revision}) == previous
    return None if unchanged else table


def _plan_aliases(
    previous: RoutingTable, seen: Aliases | None, collections: tuple[CollectionRoute, ...]
) -> Aliases:
    """As declared, or as before where they can't be read. Those without a collection are left out."""
    aliases = previous.aliases if seen is None else seen
    names = {route.spec.name for route in collections}
    served = {
        alias: name
        for alias, name in aliases.collection_by_alias.items()
        if name in names and alias not in names
    }
    return aliases.model_copy(update={"collection_by_alias": served})


def _plan_collections(previous: RoutingTable, seen: Observation) -> tuple[CollectionRoute, ...]:
    routes: dict[str, CollectionRoute] = {}
    fresh: list[CatalogEntry] = []
    for entry in seen.entries:
        known = previous.collection_by_name.get(entry.spec.name)
        if known is not None and known.uid == entry.uid:
            routes[entry.spec.name] = _follow_spec(known, entry)
        else:
            fresh.append(entry)
    for name in seen.damaged:
        if name in previous.collection_by_name:
            routes[name] = previous.collection_by_name[name]
    names = [node.name for node in seen.nodes]
    _check_nodes(routes.values(), names)
    load = Counter(name for route in routes.values() for shard in route.shards for name in shard.replicas)
    for entry in sorted(fresh, key=lambda entry: (entry.created_at_us, entry.spec.name)):
        routes[entry.spec.name] = _place(entry, names, load)
    return tuple(routes[name] for name in sorted(routes))


def _follow_spec(known: CollectionRoute, entry: CatalogEntry) -> CollectionRoute:
    """The route as now declared, in the same places. What is fixed for a collection's life stays."""
    fixed = known.spec.model_dump(exclude=set(CHANGEABLE))
    if entry.spec.model_dump(exclude=set(CHANGEABLE)) != fixed:
        return known
    return known.model_copy(update={"spec": entry.spec, "generation": entry.generation})


def _check_nodes(routes: Iterable[CollectionRoute], names: list[str]) -> None:
    stranded: dict[str, set[str]] = {}
    for route in routes:
        for shard in route.shards:
            for node in set(shard.replicas) - set(names):
                stranded.setdefault(node, set()).add(route.spec.name)
    if stranded:
        nodes = sorted(stranded)
        collections = sorted(set().union(*stranded.values()))
        listed = ", ".join(collections[:5]) + (", ..." if len(collections) > 5 else "")
        raise FailedPrecondition(
            f"{' and '.join(nodes)} would no longer run but hold data of {listed}: "
            "start with as many shards as before, or delete those collections first",
            nodes=nodes,
            collections=collections,
        )


def _place(entry: CatalogEntry, names: list[str], load: Counter[str]) -> CollectionRoute:
    """Spread one collection's shards over different nodes, the least loaded first.

    `load` counts shards by node and is brought up to date.
    """
    own: Counter[str] = Counter()
    shards = []
    for number, (first, last) in enumerate(spread_slots(entry.spec.shards)):
        node = min(names, key=lambda name: (own[name], load[name], names.index(name)))
        own[node] += 1
        load[node] += 1
        shards.append(ShardRoute(shard=number, first_slot=first, last_slot=last, replicas=(node,)))
    return CollectionRoute(
        uid=entry.uid,
        generation=entry.generation,
        spec=entry.spec,
        created_at_us=entry.created_at_us,
        shards=tuple(shards),
    )


def _plan_deleted(
    previous: RoutingTable, collections: tuple[CollectionRoute, ...]
) -> tuple[DeletedCollection, ...]:
    """Oldest first. A uid that is back in force must not be listed: its data would be removed."""
    live = {route.uid for route in collections}
    gone = {item.uid: item for item in previous.deleted if item.uid not in live}
    for route in previous.collections:
        if route.uid not in live:
            gone[route.uid] = DeletedCollection(name=route.spec.name, uid=route.uid)
    return tuple(gone.values())[-MAX_DELETED:]
