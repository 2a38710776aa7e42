# Written by scripts/gen_sdk.py from _async/collections.py; edit that, and run `make gen`.
"""Collections and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._sync.calls import Calls
from hxp_vector_client.errors import CollectionNotFound
from hxp_vector_client.models import Collection, CollectionStats
from hxp_vector_client.options import CollectionChanges, CollectionOptions, checked
from hxp_vector_client.requests import Request

# Inside the classes, `list` is a method.
_Collections = list[Collection]


class Collections:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(self, name: str, dimension: int, **options: Unpack[CollectionOptions]) -> CollectionStats:
        """A new collection, ready for points on return. Raises CollectionExists, ModelNotFound, ..."""
        body = {"name": name, "dimension": dimension, **checked(CollectionOptions, options)}
        answer = self._calls.call(Request(operations.CREATE_COLLECTION, body))
        return CollectionStats.read(answer)

    def list(self) -> _Collections:
        """All collections by name."""
        listed: _Collections = []
        cursor: str | None = None
        while True:
            answer = self._calls.call(Request(operations.LIST_COLLECTIONS, query={"cursor": cursor}))
            listed += [Collection.read(one) for one in answer["collections"]]
            cursor = answer.get("next_cursor")
            if cursor is None:
                return listed

    def get(self, name: str) -> CollectionStats:
        """By its name or an alias: its points, how they are indexed, and what each shard says.

        Raises CollectionNotFound.
        """
        answer = self._calls.call(Request(operations.GET_COLLECTION, path={"name": name}))
        return CollectionStats.read(answer)

    def stats(self, name: str) -> CollectionStats:
        """The same as get, by the name that says what it is asked for."""
        return self.get(name)

    def exists(self, name: str) -> bool:
        """Whether a collection, or an alias, has that name."""
        try:
            self.get(name)
        except CollectionNotFound:
            return False
        return True

    def update(self, name: str, **changes: Unpack[CollectionChanges]) -> CollectionStats:
        """Change index, quantisation, target_recall or payload_indexes; what is left out stays."""
        request = Request(
            operations.UPDATE_COLLECTION, checked(CollectionChanges, changes), path={"name": name}
        )
        return CollectionStats.read(self._calls.call(request))

    def delete(self, name: str, *, with_aliases: bool = False) -> None:
        """Delete a collection and all its points. Raises CollectionNotFound, CollectionHasAliases."""
        query = {"aliases": "delete"} if with_aliases else {}
        self._calls.call(Request(operations.DELETE_COLLECTION, path={"name": name}, query=query))


class Aliases:
    """Other names of collections, which may be pointed to another one."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> dict[str, str]:
        """The collection of each alias."""
        return _by_alias(self._calls.call(Request(operations.LIST_ALIASES)))

    def get(self, alias: str) -> str:
        """The collection that it stands for. Raises AliasNotFound."""
        answer = self._calls.call(Request(operations.GET_ALIAS, path={"alias": alias}))
        return str(answer["collection"])

    def set(self, alias: str, collection: str) -> None:
        """Make an alias, or point it to another collection."""
        self.switch({alias: collection})

    def delete(self, alias: str) -> None:
        """Its collection stays. Raises AliasNotFound."""
        self.switch({alias: None})

    def switch(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Make, move and (by None) remove aliases at one moment. Answers all that there are then."""
        asked = [{"alias": alias, "collection": collection} for alias, collection in changes.items()]
        return _by_alias(self._calls.call(Request(operations.SWITCH_ALIASES, {"changes": asked})))


def _by_alias(answer: Mapping[str, Any]) -> dict[str, str]:
    return {one["alias"]: one["collection"] for one in answer["aliases"]}
