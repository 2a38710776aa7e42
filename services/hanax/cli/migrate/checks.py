"""What a migration expects when it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from hxp_vector_client import AsyncVectorClient
from hxp_vector_client.errors import AliasNotFound, CollectionNotFound

# Says what is wrong, or nothing.
Check = Callable[[AsyncVectorClient], Awaitable[str | None]]


@dataclass(slots=True)
class Checks:
    """What `validate` is handed: it takes down what is expected, and looks at nothing yet."""

    all: list[Check] = field(default_factory=list)

    def collection(self, name: str, **expected: Any) -> None:
        """That it is there, with these fields of its description."""

        async def check(client: AsyncVectorClient) -> str | None:
            try:
                there = (await client.collections.get(name)).model_dump(mode="json")
            except CollectionNotFound:
                return f"collection {name} is not there"
            for field_name, value in expected.items():
                if there.get(field_name) != value:
                    return (
                        f"collection {name}: expected {field_name} {value!r}, got {there.get(field_name)!r}"
                    )
            return None

        self.all.append(check)

    def alias(self, alias: str, collection: str) -> None:
        async def check(client: AsyncVectorClient) -> str | None:
            try:
                got = await client.aliases.get(alias)
            except AliasNotFound:
                return f"alias {alias} is not there"
            return None if got == collection else f"alias {alias}: expected {collection}, got {got}"

        self.all.append(check)

    def points(self, collection: str, *, at_least: int) -> None:
        async def check(client: AsyncVectorClient) -> str | None:
            try:
                got = (await client.collections.get(collection)).points
            except CollectionNotFound:
                return f"collection {collection} is not there"
            if got is not None and got >= at_least:
                return None
            return f"collection {collection}: expected at least {at_least} points, got {got}"

        self.all.append(check)
