"""Collections and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._async.calls import AsyncCalls
from hxp_vector_client.errors import CollectionNotFound
from hxp_vector_client.models import Collection, CollectionStats
from hxp_vector_client.options import CollectionChanges, CollectionOptions, checked
from hxp_vector_client.requests import Request

# Inside the classes, `list` is a method.
_Collections = list[Collection]


class AsyncCollections:
    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def create(
        self, name: str, dimension: int, **options: Unpack[CollectionOptions]
    ) -> CollectionStats:
        """A new collection, ready for points on return. Raises CollectionExists, ModelNotFound, ..."""
        body = {"name": name, "dimension": dimension, **checked(CollectionOptions, options)}
        answer = await self._calls.call(Request(operations.CREATE_COLLECTION, body))
        return CollectionStats.read(answer)

    async def list(self) -> _Collections:
        """All collections by name."""
        listed: _Collections = []
        cursor: str | None = None
        while True:
            answer = await self._calls.call(Request(operations.LIST_COLLECTIONS, query={"cursor": cursor}))
            listed += [Collection.read(one) for one in answer["collections"]]
            cursor = answer.get("next_cursor")
            if cursor is None:
                return listed

    async def get(self, name: str) -> CollectionStats:
        """By its name or an alias: its points, how they are indexed, and what each shard says.

        Raises CollectionNotFound.
        """
        answer = await self._calls.call(Request(operations.GET_COLLECTION, path={"name": name}))
        return CollectionStats.read(answer)

    async def stats(self, name: str) -> CollectionStats:
        """The same as get, by the name that says what it is asked for."""
        return await self.get(name)

    async def exists(self, name: str) -> bool:
        """Whether a collection, or an alias, has that name."""
        try:
            await self.get(name)
        except CollectionNotFound:
            return False
        return True

    async def update(self, name: str, **changes: Unpack[CollectionChanges]) -> CollectionStats:
        """Change index, quantisation, target_recall or payload_indexes; what is left out stays."""
        request = Request(
            operations.UPDATE_COLLECTION, checked(CollectionChanges, changes), path={"name": name}
        )
        return CollectionStats.read(await self._calls.call(request))

    async def delete(self, name: str, *, with_aliases: bool = False) -> None:
        """Delete a collection and all its points. Raises CollectionNotFound, CollectionHasAliases."""
        query = {"aliases": "delete"} if with_aliases else {}
        await self._calls.call(Request(operations.DELETE_COLLECTION, path={"name": name}, query=query))


class AsyncAliases:
    """Other names of collections, which may be pointed to another one."""

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def list(self) -> dict[str, str]:
        """The collection of each alias."""
        return _by_alias(await self._calls.call(Request(operations.LIST_ALIASES)))

    async def get(self, alias: str) -> str:
        """The collection that it stands for. Raises AliasNotFound."""
        answer = await self._calls.call(Request(operations.GET_ALIAS, path={"alias": alias}))
        return str(answer["collection"])

    async def set(self, alias: str, collection: str) -> None:
        """Make an alias, or point it to another collection."""
        await self.switch({alias: collection})

    async def delete(self, alias: str) -> None:
        """Its collection stays. Raises AliasNotFound."""
        await self.switch({alias: None})

    async def switch(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Make, move and (by None) remove aliases at one moment. Answers all that there are then."""
        asked = [{"alias": alias, "collection": collection} for alias, collection in changes.items()]
        return _by_alias(await self._calls.call(Request(operations.SWITCH_ALIASES, {"changes": asked})))


def _by_alias(answer: Mapping[str, Any]) -> dict[str, str]:
    return {one["alias"]: one["collection"] for one in answer["aliases"]}
