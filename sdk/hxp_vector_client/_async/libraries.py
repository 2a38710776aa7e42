"""Libraries: documents that are divided into chunks, embedded and searched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._async.calls import AsyncCalls
from hxp_vector_client.arrays import VectorLike, to_vector
from hxp_vector_client.library_options import IndexOptions, LibraryChanges, LibraryOptions, QueryOptions
from hxp_vector_client.models import Library, LibraryIndex, LibraryPage, QueryResults
from hxp_vector_client.options import checked
from hxp_vector_client.requests import Request


class AsyncLibraries:
    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def create(self, name: str, **options: Unpack[LibraryOptions]) -> Library:
        """A new library, ready for documents. Without `index` it can be queried once one is asked for.

        Raises LibraryExists, ModelNotFound, DatabaseNotConfigured.
        """
        body = {"name": name, **checked(LibraryOptions, options)}
        return Library.read(await self._calls.call(Request(operations.CREATE_LIBRARY, body)))

    async def get(self, library_id: str) -> Library:
        """With its document_count. Raises LibraryNotFound."""
        return Library.read(await self._calls.call(_on(operations.GET_LIBRARY, library_id)))

    async def list(self, *, page_size: int = 100) -> AsyncIterator[Library]:
        """The newest first: read page by page as they are taken."""
        cursor: str | None = None
        while True:
            query = {"limit": page_size, "cursor": cursor}
            answer = await self._calls.call(Request(operations.LIST_LIBRARIES, query=query))
            page = LibraryPage.read(answer)
            for library in page.libraries:
                yield library
            cursor = page.next_cursor
            if cursor is None:
                return

    async def find(self, name: str) -> Library | None:
        """The library of that name, among all that there are."""
        async for library in self.list(page_size=1_000):
            if library.name == name:
                return library
        return None

    async def update(
        self, library_id: str, *, if_match: int | None = None, **changes: Unpack[LibraryChanges]
    ) -> Library:
        """Change its name or metadata. if_match: the revision that it must have; else RevisionConflict."""
        request = _on(operations.UPDATE_LIBRARY, library_id, checked(LibraryChanges, changes))
        request.if_match = if_match
        return Library.read(await self._calls.call(request))

    async def delete(self, library_id: str, *, if_match: int | None = None) -> None:
        """Delete a library and all its documents."""
        request = _on(operations.DELETE_LIBRARY, library_id)
        request.if_match = if_match
        await self._calls.call(request)

    async def build_index(self, library_id: str, **options: Unpack[IndexOptions]) -> LibraryIndex:
        """Choose how it is searched; built in the background, as `index` tells."""
        request = _on(operations.BUILD_INDEX, library_id, checked(IndexOptions, options))
        return LibraryIndex.read(await self._calls.call(request))

    async def index(self, library_id: str) -> LibraryIndex:
        """How far its index is built."""
        return LibraryIndex.read(await self._calls.call(_on(operations.GET_INDEX, library_id)))

    async def query(
        self,
        library_id: str,
        text: str | None = None,
        *,
        embedding: VectorLike | None = None,
        **options: Unpack[QueryOptions],
    ) -> QueryResults:
        """The chunks that are nearest to a text or a vector, with their documents, best first.

        Raises IndexNotBuilt where no index was asked for.
        """
        body: dict[str, Any] = checked(QueryOptions, options)
        if text is not None:
            body["text"] = text
        if embedding is not None:
            body["embedding"] = to_vector(embedding, "embedding")
        answer = await self._calls.call(_on(operations.QUERY_LIBRARY, library_id, body))
        return QueryResults.read(answer)


def _on(operation: operations.Operation, library_id: str, body: Mapping[str, Any] | None = None) -> Request:
    return Request(operation, body, path={"library_id": library_id})
