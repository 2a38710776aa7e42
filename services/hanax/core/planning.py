"""What the routing table should be: the table in force and what is observed in, the next one out.

Placement is sticky: a shard that was put on a node of the pool keeps it for as long as its collection lives,
because its data lies there and nothing moves it. A collection that has nodes of its own is where its entry
says; where one that is not in the table yet says nodes of the pool, it was there before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hanax.core.catalog import CatalogEntry
from hanax.core.errors import FailedPrecondition
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import (
    Aliases,
    CollectionRoute,
    DeletedCollection,
    NodeRoute,
    RoutingTable,
    ShardRoute,
    spread_slots,
)
from hanax.core.specs import CHANGEABLE

# A shard that was away for longer than this many deletions keeps an orphaned folder; the table
# stays small enough to be written and read at every change.
MAX_DELETED = 1_000


@dataclass(frozen=True)
class Observation:
    """What is true now. `damaged` are the names of entries that can't be read.

    aliases: None where they can't be read. pool: names of nodes that take shards by load; None: every node. A
    node that is to take no more is left out there, and stays in `nodes` for as long as it holds data. kept:
    uids of collections whose data stays when they go.
    """

    entries: tuple[CatalogEntry, ...]
    damaged: Collection[str]
    nodes: tuple[NodeRoute, ...]
    models: tuple[ModelRoute, ...]
    aliases: Aliases | None
    pool: tuple[str, ...] | None = None
    kept: frozenset[str] = frozenset()


def plan(previous: RoutingTable, seen: Observation) -> RoutingTable | None:
    """Return the next table, one revision later, or None when `previous` says it already.

    A collection that no node of the pool can take is left out. Raises FailedPrecondition when a node that
    holds data, or that a collection has to be on, is not there.
    """
    collections = _plan_collections(previous, seen)
    table = RoutingTable(
        revision=previous.revision + 1,
        nodes=seen.nodes,
        collections=collections,
        deleted=_plan_deleted(previous, collections, seen.kept),
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
    names = [node.name for node in seen.nodes]
    pool = names if seen.pool is None else list(seen.pool)
    for entry in seen.entries:
        known = previous.collection_by_name.get(entry.spec.name)
        if known is not None and known.uid == entry.uid:
            routes[entry.spec.name] = _follow_spec(known, entry, frozenset(pool))
        elif entry.nodes is not None:
            routes[entry.spec.name] = _route(entry, entry.nodes)
        else:
            fresh.append(entry)
    for name in seen.damaged:
        if name in previous.collection_by_name:
            routes[name] = previous.collection_by_name[name]
    _check_nodes(routes.values(), names)
    if not pool:
        fresh = []
    load = Counter(name for route in routes.values() for shard in route.shards for name in shard.replicas)
    for entry in sorted(fresh, key=lambda entry: (entry.created_at_us, entry.spec.name)):
        routes[entry.spec.name] = _route(entry, _place(entry.spec.shards, pool, load))
    return tuple(routes[name] for name in sorted(routes))


def _follow_spec(known: CollectionRoute, entry: CatalogEntry, pool: frozenset[str]) -> CollectionRoute:
    """The route as now declared. What is fixed for a collection's life stays, and places on the pool do."""
    fixed = known.spec.model_dump(exclude=set(CHANGEABLE))
    if entry.spec.model_dump(exclude=set(CHANGEABLE)) != fixed:
        return known
    places = [shard.replicas for shard in known.shards]
    if entry.nodes is not None and pool.isdisjoint(node for names in places for node in names):
        places = list(entry.nodes)
    return _route(entry, places)


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


def _place(shards: int, pool: list[str], load: Counter[str]) -> list[tuple[str, ...]]:
    """Spread one collection's shards over different nodes, the least loaded first.

    `load` counts shards by node and is brought up to date.
    """
    own: Counter[str] = Counter()
    rank = {name: position for position, name in enumerate(pool)}
    places: list[tuple[str, ...]] = []
    for _ in range(shards):
        node = min(pool, key=lambda name: (own[name], load[name], rank[name]))
        own[node] += 1
        load[node] += 1
        places.append((node,))
    return places


def _route(entry: CatalogEntry, places: Sequence[tuple[str, ...]]) -> CollectionRoute:
    """The entry's route, with the replicas of each shard."""
    ranges = spread_slots(entry.spec.shards)
    return CollectionRoute(
        uid=entry.uid,
        generation=entry.generation,
        spec=entry.spec,
        created_at_us=entry.created_at_us,
        suspended=entry.suspended,
        shards=tuple(
            ShardRoute(shard=number, first_slot=first, last_slot=last, replicas=replicas)
            for number, ((first, last), replicas) in enumerate(zip(ranges, places, strict=True))
        ),
    )


def _plan_deleted(
    previous: RoutingTable, collections: tuple[CollectionRoute, ...], kept: frozenset[str]
) -> tuple[DeletedCollection, ...]:
    """Oldest first. A uid that is back in force must not be listed: its data would be removed."""
    spared = kept.union(route.uid for route in collections)
    gone = {item.uid: item for item in previous.deleted if item.uid not in spared}
    for route in previous.collections:
        if route.uid not in spared:
            gone[route.uid] = DeletedCollection(name=route.spec.name, uid=route.uid)
    return tuple(gone.values())[-MAX_DELETED:]
