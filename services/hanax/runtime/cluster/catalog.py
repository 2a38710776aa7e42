"""The collections that someone asked for, as VectorCollections: what the catalog folder is on one machine.

A gateway creates, changes and deletes custom resources here; the operator reconciles what it finds into the
routing table. All aliases are one ConfigMap, which the release brings, so that several change together.
There is no lock over both: what was read is changed only as long as it is unchanged, else it is read again.
An alias whose collection was deleted in the same moment is left out of the routing table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import httpx2
import structlog
from lightkube import Client
from lightkube.generic_resource import GenericNamespacedResource, create_api_info

from hanax.core.alias_changes import changed_aliases, without_collection
from hanax.core.catalog import CatalogEntry
from hanax.core.errors import (
    AliasExists,
    AlreadyExists,
    CollectionExists,
    CollectionNotFound,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)
from hanax.core.resources.collections import (
    Collection,
    DeletionPolicy,
    Placement,
    VectorCollectionSpec,
)
from hanax.core.resources.names import (
    API_VERSION,
    CREATED_BY_API,
    CREATED_BY_LABEL,
    GROUP,
    VECTOR_COLLECTION,
    VERSION,
)
from hanax.core.routing import Aliases
from hanax.core.routing_config_map import aliases_from_config_map, aliases_to_config_map_data
from hanax.core.specs import CHANGEABLE, CollectionSpec
from hanax.runtime.cluster.api_server import is_conflict, translating

log = structlog.get_logger()

T = TypeVar("T")


# Not made by create_namespaced_resource: it enters a class into a registry of the process, which refuses a
# second one of the same kind.
class _Collections(GenericNamespacedResource):
    _api_info = create_api_info(GROUP, VERSION, VECTOR_COLLECTION.kind, VECTOR_COLLECTION.plural)


class _ConfigMaps(GenericNamespacedResource):
    _api_info = create_api_info("", "v1", "ConfigMap", "configmaps")


# A list comes in pages; more collections than a release can serve are not listed at all.
_PAGE: Final = 500
MAX_COLLECTIONS: Final = 20_000

# Who loses a race reads again. Losing it so often means that something writes without a pause.
_ATTEMPTS: Final = 10
_FIRST_PAUSE_S: Final = 0.02

# A deleted collection keeps its name until the operator has let go of its data.
_NAME_PATIENCE_S: Final = 10.0
_NAME_PAUSE_S: Final = 0.2


class ClusterCatalog:
    """For any thread. Every method raises Unavailable when the Kubernetes API can't be reached."""

    def __init__(self, client: Client, aliases: str) -> None:
        """aliases: name of the ConfigMap in the client's namespace."""
        self._client = client
        self._aliases = aliases

    def create(self, spec: CollectionSpec, now_us: int) -> CatalogEntry:
        """Declare a collection on the shard pool. When it was created is told by the API server's clock.

        Waits while a deleted collection of that name is on its way out. Raises CollectionExists, AliasExists,
        or InvalidArgument for what the cluster refuses.
        """
        target = self.aliases().collection_by_alias.get(spec.name)
        if target is not None:
            raise AliasExists(
                f"{spec.name!r} is an alias, of collection {target!r}", alias=spec.name, collection=target
            )
        declared = VectorCollectionSpec.of(spec, Placement.SHARED, deletion_policy=DeletionPolicy.DELETE)
        manifest = {
            "apiVersion": API_VERSION,
            "kind": VECTOR_COLLECTION.kind,
            "metadata": {"name": spec.name, "labels": {CREATED_BY_LABEL: CREATED_BY_API}},
            "spec": declared.manifest(),
        }
        deadline = time.monotonic() + _NAME_PATIENCE_S
        while True:
            try:
                with translating(f"creating the collection {spec.name!r}"):
                    return _entry(Collection.parse(self._client.create(_Collections.from_dict(manifest))))
            except AlreadyExists:
                if not self._is_on_its_way_out(spec.name) or time.monotonic() > deadline:
                    raise CollectionExists(
                        f"collection {spec.name!r} exists already", collection=spec.name
                    ) from None
            time.sleep(_NAME_PAUSE_S)

    def update(self, name: str, change: Callable[[CollectionSpec], CollectionSpec]) -> CatalogEntry:
        """Declare a collection differently; no other change comes in between.

        Raises CollectionNotFound, InvalidArgument for what the cluster refuses, and what `change` raises.
        """

        def attempt() -> CatalogEntry:
            obj = self._collection(name)
            found = Collection.parse(obj)
            known = found.spec.collection_spec(name)
            spec = change(known)
            if spec == known:
                return _entry(found)
            obj["spec"] = _changed(obj["spec"], VectorCollectionSpec.of(spec, found.spec.placement))
            return _entry(Collection.parse(self._client.replace(obj)))

        return self._retried(f"changing the collection {name!r}", attempt)

    def delete(self, name: str, with_aliases: bool) -> None:
        """Withdraw a collection, and its aliases where that is wanted.

        Raises CollectionNotFound or CollectionHasAliases.
        """
        self._retried(f"deleting the collection {name!r}", lambda: self._collection(name))
        self._change_aliases(lambda before: without_collection(before, name, with_aliases))
        with translating(f"deleting the collection {name!r}"):
            try:
                self._client.delete(_Collections, name)
            except httpx2.HTTPStatusError as failure:
                if failure.response.status_code != 404:
                    raise
                raise _not_found(name) from None

    def entries(self) -> list[CatalogEntry]:
        """All declared collections by name, without those that are being deleted, or can't be read.

        Raises ResourceExhausted past MAX_COLLECTIONS.
        """
        found: list[CatalogEntry] = []
        with translating("listing the collections"):
            for number, obj in enumerate(self._client.list(_Collections, chunk_size=_PAGE)):
                if number == MAX_COLLECTIONS:
                    raise ResourceExhausted(f"there are more than {MAX_COLLECTIONS} collections to list")
                try:
                    collection = Collection.parse(obj)
                except InvalidArgument as error:
                    log.warning("collection can't be read", name=obj["metadata"]["name"], error=error.message)
                    continue
                if not collection.deleting:
                    found.append(_entry(collection))
        return sorted(found, key=lambda entry: entry.spec.name)

    def aliases(self) -> Aliases:
        """All aliases. Raises DataLoss for a ConfigMap that can't be read."""
        return aliases_from_config_map(self._retried("reading the aliases", self._config_map))

    def change_aliases(self, changes: Mapping[str, str | None]) -> Aliases:
        """Point aliases to collections, or to None to remove them: all at once.

        A collection may be named by an alias of before. Raises CollectionNotFound, AliasNotFound,
        CollectionExists for an alias that is named like one, and FailedPrecondition past MAX_ALIASES.
        """
        return self._change_aliases(lambda before: changed_aliases(before, changes, self._exists))

    def _change_aliases(self, change: Callable[[Aliases], Aliases]) -> Aliases:
        def attempt() -> Aliases:
            obj = self._config_map()
            before = aliases_from_config_map(obj)
            after = change(before)
            if after != before:
                obj["data"] = {**(obj.get("data") or {}), **aliases_to_config_map_data(after)}
                self._client.replace(obj)
            return after

        return self._retried("changing the aliases", attempt)

    def _exists(self, name: str) -> bool:
        try:
            self._collection(name)
        except CollectionNotFound:
            return False
        return True

    def _is_on_its_way_out(self, name: str) -> bool:
        """Whether the name will be free, or is by now."""
        return not self._retried(f"looking for the collection {name!r}", lambda: self._exists(name))

    def _collection(self, name: str) -> Any:
        """The object. Raises CollectionNotFound, also for one that is being deleted."""
        try:
            found = self._client.get(_Collections, name)
        except httpx2.HTTPStatusError as failure:
            if failure.response.status_code != 404:
                raise
            raise _not_found(name) from None
        if "deletionTimestamp" in found["metadata"]:
            raise _not_found(name)
        return found

    def _config_map(self) -> Any:
        return self._client.get(_ConfigMaps, self._aliases)

    def _retried(self, what: str, attempt: Callable[[], T]) -> T:
        """Read and change again as long as others change the same."""
        pause = _FIRST_PAUSE_S
        for _ in range(_ATTEMPTS):
            with translating(what):
                try:
                    return attempt()
                except httpx2.HTTPStatusError as failure:
                    if not is_conflict(failure):
                        raise
            time.sleep(pause)
            pause *= 1.5
        raise Unavailable(f"{what}: others change the same again and again")


def _entry(found: Collection) -> CatalogEntry:
    """Its places are the operator's to tell."""
    return CatalogEntry(
        uid=found.uid,
        generation=found.generation,
        created_at_us=found.created_at_us,
        spec=found.spec.collection_spec(found.name),
        suspended=found.spec.suspend,
    )


def _changed(known: Mapping[str, Any], wanted: VectorCollectionSpec) -> dict[str, Any]:
    """The spec as it is stored, with what may change through here replaced, and all else as it was."""
    manifest = wanted.manifest()
    fields = {VectorCollectionSpec.model_fields[name].alias for name in CHANGEABLE}
    kept = {field: value for field, value in known.items() if field not in fields}
    return kept | {field: value for field, value in manifest.items() if field in fields}


def _not_found(name: str) -> CollectionNotFound:
    return CollectionNotFound(f"there is no collection {name!r}", collection=name)
