"""Which collections and models a change concerns, and whether it concerns the shard pool."""

from __future__ import annotations

from collections.abc import Iterable

from hanax.core.resources.names import (
    COLLECTION_LABEL,
    COMPONENT_LABEL,
    MODEL_LABEL,
    POOL_LABEL,
    SHARD_COMPONENT,
)
from hanax_operator.context import Context
from hanax_operator.objects import (
    CLAIM,
    COLLECTION,
    CONFIG_MAP,
    MODEL,
    POD,
    STATEFUL_SET,
    Manifest,
    is_deleting,
    key,
    key_of,
    labels_of,
    name_of,
)
from hanax_operator.reconcile.routing import Publisher


class Wakes:
    def __init__(self, context: Context, publisher: Publisher) -> None:
        self._context = context
        self._publisher = publisher
        release = context.release
        self._pool = key(STATEFUL_SET, release.pool_stateful_set)
        self._of_the_table = {
            self._pool,
            key(CONFIG_MAP, release.routing_config_map),
            key(CONFIG_MAP, release.aliases_config_map),
        }

    def changed(self, obj: Manifest) -> None:
        """An object is new, different or gone."""
        kind = obj["kind"]
        if kind in (COLLECTION.kind, MODEL.kind):
            self._context.queue.add(key_of(obj))
            self._publisher.request()
        if kind == MODEL.kind:
            self._wake_users(name_of(obj))
        if key_of(obj) in self._of_the_table:
            self._publisher.request()
        labels = labels_of(obj)
        if key_of(obj) == self._pool or (kind == CLAIM.kind and labels.get(POOL_LABEL) == self._pool.name):
            self._context.queue.add(self._pool)
        if kind != COLLECTION.kind and COLLECTION_LABEL in labels:
            self._context.queue.add(key(COLLECTION, labels[COLLECTION_LABEL]))
        if kind != MODEL.kind and MODEL_LABEL in labels:
            self._context.queue.add(key(MODEL, labels[MODEL_LABEL]))
            if kind == POD.kind:
                self._publisher.request()

    def nodes_changed(self, changes: Iterable[tuple[str, str]]) -> None:
        """Nodes tell something new, as NodeStates.look returns it."""
        for node, collection in changes:
            if collection:
                self._context.queue.add(key(COLLECTION, collection))
                continue
            for route, _ in self._publisher.table.assigned_to(node):
                self._context.queue.add(key(COLLECTION, route.spec.name))

    def all(self) -> None:
        """Everything is to be looked at again."""
        for kind in (COLLECTION, MODEL):
            for obj in self._context.store.of_kind(kind):
                self._context.queue.add(key_of(obj))
        if self._pool.name:
            self._context.queue.add(self._pool)
        self._publisher.request()

    def _wake_users(self, model: str) -> None:
        for collection in self._context.declarations.collections.readable():
            if collection.spec.embedding_model == model:
                self._context.queue.add(key(COLLECTION, collection.name))


def shard_addresses(context: Context) -> dict[str, str]:
    """IP addresses of the pods that may run a shard, by node."""
    return {
        name_of(pod): pod["status"]["podIP"]
        for found, pod in context.store.labelled(COMPONENT_LABEL, SHARD_COMPONENT).items()
        if found.kind == POD.kind
        and not is_deleting(pod)
        and (pod.get("status") or {}).get("podIP")
        and pod["status"].get("phase") == "Running"
    }
