"""Libraries: made, listed, changed and withdrawn, each with the collection underneath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hanax.core.errors import HanaxError, InvalidArgument, ModelConflict, Unavailable
from hanax.core.library_names import collection_of
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.collections import Collections
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.libraries.contents import PINNED, check_metadata, merged
from hanax.gateway.libraries.ids import new_id, parse_id
from hanax.gateway.libraries.indexes import indexing_of, naming_parameters
from hanax.gateway.libraries.leftovers import Leftovers
from hanax.gateway.libraries.requests import LibraryPatch, NewLibrary
from hanax.gateway.libraries.rights import check_every_library, check_library
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedding
from hanax.gateway.requests import parse_request
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.rows import Library
from hanax.metadata.pages import Place


@dataclass(frozen=True, slots=True)
class Described:
    """documents: how many there are."""

    library: Library
    documents: int


class Libraries:
    """Each method raises what the database raises, and an InvalidArgument for what is wrong."""

    def __init__(
        self,
        rows: LibraryRows,
        collections: Collections,
        embedding: Embedding,
        leftovers: Leftovers,
        now_us: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._rows = rows
        self._collections = collections
        self._embedding = embedding
        self._leftovers = leftovers
        self._now_us = now_us
        self._metrics = metrics

    async def create(self, call: Call, request: NewLibrary) -> Library:
        """Ready for documents on return. Raises LibraryExists, ModelNotFound, ModelConflict, and what
        creating a collection raises.
        """
        library = self._new(request)
        with self._metrics.changing("create_library", collection_of(library.id), call):
            return await self._create(call, library, request)

    async def _create(self, call: Call, library: Library, request: NewLibrary) -> Library:
        check_library(call, Scope.ADMIN, library.id)
        spec = _spec(library, request)
        call.must_end = True
        await self._rows.begin(library)
        try:
            described = await self._collections.declare(call, spec)
            served = await self._rows.serve(library.id, described.listed.uid)
        except HanaxError:
            await self._give_up(library.id)
            raise
        if served is None:
            raise Unavailable(f"library {library.name!r} took too long to make, and was taken back")
        return served

    async def get(self, call: Call, library_id: str) -> Described:
        """Raises LibraryNotFound."""
        check_library(call, Scope.READ, library_id)
        library = await self._rows.get(library_id)
        return Described(library, await self._rows.count_documents(library_id))

    async def page(self, call: Call, limit: int, after: Place | None) -> list[Library]:
        """The newest first."""
        check_every_library(call, Scope.READ)
        return await self._rows.page(limit, after)

    async def change(
        self, call: Call, library_id: str, request: LibraryPatch, if_revision: int | None
    ) -> Library:
        """Raises LibraryNotFound, LibraryExists, RevisionConflict."""

        def values(library: Library) -> dict[str, Any]:
            changed: dict[str, Any] = {}
            if request.name is not None and request.name != library.name:
                changed["name"] = request.name
            if request.metadata is not None:
                patch = check_metadata(request.metadata, "metadata")
                changed["metadata"] = check_metadata(merged(library.metadata, patch), "metadata")
            return changed

        with self._metrics.changing("update_library", collection_of(library_id), call):
            check_library(call, Scope.ADMIN, library_id)
            if not request.model_fields_set:
                raise InvalidArgument("expected at least one of: name, metadata")
            return await self._rows.change(library_id, if_revision, values)

    async def delete(self, call: Call, library_id: str, if_revision: int | None) -> None:
        """It is not there any more on return; its collection goes in the background.

        Raises LibraryNotFound, RevisionConflict.
        """
        with self._metrics.changing("delete_library", collection_of(library_id), call):
            check_library(call, Scope.ADMIN, library_id)
            await self._rows.withdraw(library_id, if_revision)
            self._leftovers.look_now()

    def _new(self, request: NewLibrary) -> Library:
        model = None
        dimension = request.dimension
        if request.model is not None:
            route = self._embedding.choose(request.model).route
            model, dimension = route.name, route.dimension
            if request.dimension not in (None, dimension):
                raise ModelConflict(
                    f"dimension: embedding model {model!r} makes vectors of {dimension} numbers, got "
                    f"{request.dimension}; leave dimension out, or name another model",
                    model=model,
                    expected=dimension,
                    got=request.dimension,
                )
        if dimension is None:
            raise InvalidArgument("dimension: a library without a model needs it")
        now = self._now_us()
        return Library(
            id=new_id() if request.id is None else parse_id(request.id, "id"),
            name=request.name,
            metadata=check_metadata(request.metadata, "metadata"),
            model=model,
            dimension=dimension,
            metric=request.metric.value,
            index_type=None if request.index is None else request.index.type,
            state="creating",
            collection_uid=None,
            revision=1,
            created_at_us=now,
            updated_at_us=now,
        )

    async def _give_up(self, library_id: str) -> None:
        """What of it is there goes in the background, now or when its lease ends."""
        try:
            await self._rows.give_up(library_id)
        except HanaxError:
            return
        self._leftovers.look_now()


def _spec(library: Library, request: NewLibrary) -> CollectionSpec:
    """Of the collection underneath. Raises InvalidArgument for an index that can't be."""
    told = {
        "name": collection_of(library.id),
        "dimension": library.dimension,
        "metric": request.metric,
        "shards": request.shards,
        "embedding_model": library.model,
        "payload_indexes": PINNED,
    }
    with naming_parameters("index.parameters"):
        indexing = {} if request.index is None else indexing_of(request.index)
        return parse_request(CollectionSpec, {**told, **indexing})
