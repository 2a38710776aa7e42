"""Loaders: what many fields of one request ask one by one, gathered into few questions.

Each lives for one request. What is asked for twice is fetched once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from hanax.core.errors import HanaxError
from hanax.gateway.collection_states import Described
from hanax.gateway.graphql.context import Context
from hanax.gateway.libraries.lookups import LibraryLookups, Passages
from hanax.metadata.libraries.rows import Document, Library
from hanax.metadata.libraries.several_rows import MOST_AT_ONCE

Value = TypeVar("Value")

# (id, ...): what is asked of it.
NewestKey = tuple[str, int]
PassagesKey = tuple[str, tuple[int, int, bool]]


class Loaders:
    """Keys are ids as they are kept, or names of collections as they were asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.collections: DataLoader[str, Described] = DataLoader(self._collections)
        self.libraries: DataLoader[str, Library] = DataLoader(self._libraries, MOST_AT_ONCE)
        self.documents: DataLoader[str, Document] = DataLoader(self._documents, MOST_AT_ONCE)
        self.document_counts: DataLoader[str, int] = DataLoader(self._document_counts, MOST_AT_ONCE)
        self.newest_documents: DataLoader[NewestKey, list[Document]] = DataLoader(
            self._newest_documents, MOST_AT_ONCE
        )
        self.passages: DataLoader[PassagesKey, Passages] = DataLoader(self._passages, MOST_AT_ONCE)

    @property
    def _lookups(self) -> LibraryLookups:
        return self._context.libraries.lookups

    async def _collections(self, names: list[str]) -> list[Described | BaseException]:
        """Each asks its own shards, a few at a time."""

        async def describe(name: str) -> Described:
            async with self._context.part("Collection") as call:
                return await self._context.services.collections.describe(call, name)

        return await asyncio.gather(*map(describe, names), return_exceptions=True)

    async def _libraries(self, ids: list[str]) -> Sequence[Library | HanaxError]:
        async with self._context.part("Library") as call:
            return await self._lookups.libraries(call, ids)

    async def _documents(self, ids: list[str]) -> Sequence[Document | HanaxError]:
        async with self._context.part("Document") as call:
            return await self._lookups.documents(call, ids)

    async def _document_counts(self, ids: list[str]) -> Sequence[int | HanaxError]:
        async with self._context.part("Library.documentCount") as call:
            return await self._lookups.document_counts(call, ids)

    async def _newest_documents(self, keys: list[NewestKey]) -> list[list[Document] | HanaxError]:
        async def load(limit: int, ids: list[str]) -> Sequence[list[Document] | HanaxError]:
            async with self._context.part("Library.documents") as call:
                return await self._lookups.newest_documents(call, ids, limit)

        return await _by_wish(keys, load)

    async def _passages(self, keys: list[PassagesKey]) -> list[Passages | HanaxError]:
        async def load(wanted: tuple[int, int, bool], ids: list[str]) -> Sequence[Passages | HanaxError]:
            async with self._context.part("Document.chunks") as call:
                return await self._lookups.passages(call, ids, wanted)

        return await _by_wish(keys, load)


async def _by_wish(keys: Sequence[tuple[str, Any]], load: Any) -> list[Any]:
    """One question for all ids of which the same is wished."""
    ids: dict[Any, list[str]] = defaultdict(list)
    for id, wish in keys:
        ids[wish].append(id)
    found: dict[tuple[str, Any], Any] = {}
    for wish, some in ids.items():
        for id, one in zip(some, await load(wish, some), strict=True):
            found[id, wish] = one
    return [found[key] for key in keys]
