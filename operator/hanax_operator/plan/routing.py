"""What the routing table is planned from: custom resources, the pool, and the table in force.

Data is deleted only for a collection that was seen on its way out with deletionPolicy Delete. One whose
object is simply gone (someone took the finalizer off) leaves the table, but its data is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hanax.core.catalog import CatalogEntry
from hanax.core.model_routes import ModelRoute
from hanax.core.planning import Observation
from hanax.core.resources.collections import Collection
from hanax.core.resources.models import Model
from hanax.core.resources.names import FINALIZER, SHARD_PORT
from hanax.core.routing import Aliases, NodeRoute, RoutingTable
from hanax_operator.build.collections import node_names
from hanax_operator.build.collections import nodes as nodes_of
from hanax_operator.build.models import route as route_of
from hanax_operator.objects import Manifest, name_of
from hanax_operator.release import Release

Entry = tuple[CatalogEntry, tuple[NodeRoute, ...]]

_PodNumber = re.compile(r"-(0|[1-9][0-9]{0,4})$")


@dataclass(frozen=True)
class _Pool:
    release: Release
    service: str

    def node(self, pod: str) -> NodeRoute:
        domain = f"{self.service}.{self.release.namespace}.svc.{self.release.cluster_domain}"
        return NodeRoute(name=pod, address=f"{pod}.{domain}:{SHARD_PORT}")

    def is_member(self, pod: str) -> bool:
        number = _PodNumber.search(pod)
        return number is not None and pod[: number.start()] == self.release.pool_stateful_set


@dataclass(frozen=True)
class Declared:
    """What is declared, parsed. `unreadable`: objects of collections and models that can't be.

    model_pods: IP addresses of the pods of each served model, over which gateways balance.
    """

    collections: tuple[Collection, ...]
    models: tuple[Model, ...]
    unreadable_collections: tuple[Manifest, ...]
    unreadable_models: tuple[Manifest, ...]
    aliases: Aliases | None
    model_pods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def pool_nodes(stateful_set: Manifest | None, release: Release) -> tuple[NodeRoute, ...]:
    """The pods that the pool should have, whether they run or not."""
    if stateful_set is None or stateful_set["metadata"].get("deletionTimestamp"):
        return ()
    spec = stateful_set["spec"]
    pool = _Pool(release, spec.get("serviceName") or name_of(stateful_set))
    return tuple(
        pool.node(f"{name_of(stateful_set)}-{number}") for number in range(int(spec.get("replicas", 1)))
    )


def observation(
    previous: RoutingTable, declared: Declared, pool: tuple[NodeRoute, ...], release: Release
) -> Observation:
    """What `hanax.core.planning.plan` takes. Pure."""
    entries: list[CatalogEntry] = []
    nodes: dict[str, NodeRoute] = {node.name: node for node in pool}
    held = {name_of(obj) for obj in declared.unreadable_collections}
    dropped: set[str] = set()
    routed = {route.uid for route in previous.collections}
    known = {node.name: node for node in previous.nodes}
    members = _Pool(release, release.pool_stateful_set)
    for collection in declared.collections:
        if collection.paused:
            held.add(collection.name)
        elif collection.deleting:
            if collection.spec.deletion_policy == "Delete":
                dropped.add(collection.uid)
        elif collection.uid in routed or FINALIZER in collection.finalizers:
            entry, own = _entry(collection, members, collection.uid in routed)
            entries.append(entry)
            for node in own:
                nodes.setdefault(node.name, node)
    for name in _places(previous, {entry.spec.name for entry in entries} | held):
        # A node that holds data stays, when the pool is smaller now or the object can't be read.
        nodes.setdefault(name, known[name])
    return Observation(
        entries=tuple(entries),
        damaged=held,
        nodes=tuple(nodes[name] for name in sorted(nodes)),
        models=_model_routes(previous, declared, release),
        aliases=declared.aliases,
        pool=tuple(node.name for node in pool),
        kept=frozenset(routed - dropped),
    )


def told_revision(collections: Iterable[Collection]) -> int:
    """The last revision that any status tells of: where to begin when the table is lost.

    Followers refuse an older one. Where shards lie is told by the status of their collections too.
    """
    told = [shard.revision or 0 for collection in collections for shard in collection.status.shards]
    return max(told, default=0)


def _entry(collection: Collection, pool: _Pool, placed: bool) -> Entry:
    own: tuple[NodeRoute, ...] = ()
    places: tuple[tuple[str, ...], ...] | None = None
    if collection.spec.placement == "dedicated":
        own = nodes_of(collection, pool.release)
        places = node_names(collection)
    elif not placed:
        places = _told_places(collection, pool)
        own = tuple(pool.node(name) for names in places or () for name in names)
    entry = CatalogEntry(
        uid=collection.uid,
        generation=collection.generation,
        created_at_us=collection.created_at_us,
        spec=collection.spec.collection_spec(collection.name),
        nodes=places,
        suspended=collection.spec.suspend,
    )
    return entry, own


def _told_places(collection: Collection, pool: _Pool) -> tuple[tuple[str, ...], ...] | None:
    """Where the status says that the shards are: it outlives a routing table that was lost."""
    told = {shard.shard: shard.pods for shard in collection.status.shards}
    places = tuple(told.get(shard, ()) for shard in range(collection.spec.shards))
    if all(names and all(map(pool.is_member, names)) for names in places):
        return places
    return None


def _places(previous: RoutingTable, names: set[str]) -> set[str]:
    """Nodes of the collections that are in the table and stay there."""
    return {
        node
        for route in previous.collections
        if route.spec.name in names
        for shard in route.shards
        for node in shard.replicas
    }


def _model_routes(previous: RoutingTable, declared: Declared, release: Release) -> tuple[ModelRoute, ...]:
    """A model that can't be read, or that is to be left alone, keeps the route that it has."""
    held = {name_of(obj) for obj in declared.unreadable_models}
    routes: list[ModelRoute] = []
    for model in declared.models:
        if model.paused:
            held.add(model.name)
        elif not model.deleting:
            found = route_of(model, release, declared.model_pods.get(model.name, ()))
            routes += [] if found is None else [found]
    return (*routes, *(route for route in previous.models if route.name in held))
