"""What a migration expects when it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from hanax.cli.api import Api
from hanax.core.errors import AliasNotFound, CollectionNotFound

# Says what is wrong, or nothing.
Check = Callable[[Api], Awaitable[str | None]]


@dataclass(slots=True)
class Checks:
    """What `validate` is handed: it takes down what is expected, and looks at nothing yet."""

    all: list[Check] = field(default_factory=list)

    def collection(self, name: str, **expected: Any) -> None:
        """That it is there, with these fields of its description."""

        async def check(api: Api) -> str | None:
            try:
                there = await api.get(f"/api/v1/collections/{name}")
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
        async def check(api: Api) -> str | None:
            try:
                got = (await api.get(f"/api/v1/aliases/{alias}"))["collection"]
            except AliasNotFound:
                return f"alias {alias} is not there"
            return None if got == collection else f"alias {alias}: expected {collection}, got {got}"

        self.all.append(check)

    def points(self, collection: str, *, at_least: int) -> None:
        async def check(api: Api) -> str | None:
            try:
                got = (await api.get(f"/api/v1/collections/{collection}"))["points"]
            except CollectionNotFound:
                return f"collection {collection} is not there"
            if got >= at_least:
                return None
            return f"collection {collection}: expected at least {at_least} points, got {got}"

        self.all.append(check)
