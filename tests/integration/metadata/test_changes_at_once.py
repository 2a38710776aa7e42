"""Many that change documents of one library, or keys, at once: each has its turn, and none begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from hanax.core.errors import ChunkExists, DocumentBusy, DocumentExists, LibraryNotFound, RevisionConflict
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.keys import ApiKeys
from hanax.metadata.database import Database, DatabaseOptions, Transaction
from hanax.metadata.libraries.change_rows import ChangeRows, Held, Intent
from hanax.metadata.libraries.document_rows import DocumentRows
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.rows import Chunk, Document, Leases, Library, Splice
from tests.databases import TIMEOUT_S
from tests.integration.waiting import until_asked

pytestmark = pytest.mark.timeout(300)

_NOW_US = 1_000_000
_AT_ONCE = 24
_CHUNKS = 3


class Shelf:
    """A library, as two gateways change it."""

    def __init__(self, url: str) -> None:
        self.id = uuid4().hex
        self.databases = [Database(DatabaseOptions(url, timeout_s=TIMEOUT_S)) for _ in range(2)]
        self.seen: list[Transaction] = []
        for database in self.databases:
            database.observe(self.seen.append)
        leases = Leases(60.0)
        self.changes = [ChangeRows(database, leases, lambda: _NOW_US) for database in self.databases]
        self.libraries = LibraryRows(self.databases[0], leases, lambda: _NOW_US)
        self.documents = DocumentRows(self.databases[0])

    async def begin(self, document_id: str, gateway: int = 0, **wanted: Any) -> Held:
        intent = Intent(uuid4().hex, self.id, document_id, is_new=True, points=_CHUNKS)
        return await self.changes[gateway].begin(replace(intent, **wanted))

    async def commit(self, held: Held, gateway: int = 0, first_chunk: str | None = None) -> None:
        """A first revision of the document, or the next one with all chunks new."""
        change = held.change
        ids = [first_chunk or uuid4().hex, *(uuid4().hex for _ in range(_CHUNKS - 1))]
        before = held.document
        revision = 1 if before is None else before.revision + 1
        document = Document(
            change.document_id, self.id, "title", {}, None, _CHUNKS, revision, _NOW_US, _NOW_US
        )
        chunks = [
            Chunk(id, change.document_id, self.id, place, point, change.id, 1, _NOW_US, _NOW_US)
            for place, (id, point) in enumerate(zip(ids, change.point_ids, strict=True))
        ]
        removed = 0 if before is None else before.chunks
        assert await self.changes[gateway].commit(held, document, Splice(0, removed, chunks)) is not None
        await self.changes[gateway].forget(change.id)

    async def write(self, number: int) -> None:
        await self.commit(await self.begin(uuid4().hex, number % 2), number % 2)


@pytest.fixture
async def shelf(database_url: str) -> AsyncIterator[Shelf]:
    shelf = Shelf(database_url)
    library = Library(shelf.id, None, {}, None, 3, "cosine", None, "creating", None, 1, _NOW_US, _NOW_US)
    await shelf.libraries.begin(library)
    await shelf.libraries.serve(shelf.id, "uid")
    yield shelf
    for database in shelf.databases:
        await database.close()


def outcomes(ended: Sequence[object]) -> list[str]:
    return sorted("done" if end is None else type(end).__name__ for end in ended)


async def test_documents_of_one_library_are_written_at_once(shelf: Shelf) -> None:
    """The library's clock has few rows, and all commits move one on."""
    await asyncio.gather(*(shelf.write(number) for number in range(_AT_ONCE)))
    assert await shelf.libraries.count_documents(shelf.id) == _AT_ONCE
    assert sum(one.retries for one in shelf.seen) == 0


async def test_of_two_that_begin_a_document_one_has_it(shelf: Shelf) -> None:
    ids = [uuid4().hex for _ in range(8)]
    ended = await asyncio.gather(
        *(shelf.begin(id, gateway) for id in ids for gateway in range(2)), return_exceptions=True
    )
    for one, other in zip(ended[::2], ended[1::2], strict=True):
        assert sorted(type(end).__name__ for end in (one, other)) == [DocumentBusy.__name__, Held.__name__]


async def test_who_begins_behind_a_commit_sees_it(shelf: Shelf) -> None:
    """Whatever came in between: each of many changes of one document is made on what the one before left."""
    id = uuid4().hex
    await shelf.commit(await shelf.begin(id))

    async def change(gateway: int) -> None:
        async def begin() -> Held | None:
            with suppress(DocumentBusy):
                return await shelf.begin(id, gateway, is_new=False, reads=None)
            return None

        held = await until_asked("the document is free", begin)
        assert held is not None
        assert held.document is not None
        assert len(held.chunks) == held.document.chunks
        await shelf.commit(held, gateway)

    await asyncio.gather(*(change(number % 2) for number in range(8)))
    document = await shelf.documents.get(id)
    assert document.revision == 9


async def test_what_is_in_the_way_of_a_change_is_told_before_who_is(shelf: Shelf) -> None:
    """While the document is being changed: to come again would not help."""
    id = uuid4().hex
    await shelf.commit(await shelf.begin(id))
    await shelf.begin(id, is_new=False)
    with pytest.raises(DocumentExists):
        await shelf.begin(id)
    with pytest.raises(RevisionConflict):
        await shelf.begin(id, is_new=False, if_revision=7)
    with pytest.raises(DocumentBusy):
        await shelf.begin(id, is_new=False, if_revision=1)


async def test_a_change_that_is_refused_holds_nothing(shelf: Shelf) -> None:
    id = uuid4().hex
    await shelf.commit(await shelf.begin(id))
    for _ in range(2):
        with pytest.raises(DocumentExists):
            await shelf.begin(id)
    await shelf.commit(await shelf.begin(id, is_new=False, if_revision=1, points=_CHUNKS))


async def test_all_chunks_of_a_document_may_be_written_anew(shelf: Shelf) -> None:
    """Where it is not said how many points a change writes it is as many as there are chunks."""
    id = uuid4().hex
    await shelf.commit(await shelf.begin(id))
    held = await shelf.begin(id, is_new=False, points=None)
    assert held.change.points == _CHUNKS
    kept = await shelf.changes[1].find(held.change.id)
    assert kept == held.change


async def test_of_two_that_commit_a_chunk_id_one_is_told(shelf: Shelf) -> None:
    chunk = uuid4().hex
    held = [await shelf.begin(uuid4().hex, gateway) for gateway in range(2)]
    ended = await asyncio.gather(
        *(shelf.commit(one, gateway, chunk) for gateway, one in enumerate(held)), return_exceptions=True
    )
    assert outcomes(ended) == [ChunkExists.__name__, "done"]
    assert await shelf.libraries.count_documents(shelf.id) == 1


async def test_a_library_that_goes_takes_no_more_documents(shelf: Shelf) -> None:
    """Those that are being written when it goes are in it, and go with it, or are refused."""
    held = [await shelf.begin(uuid4().hex) for _ in range(8)]
    ended = await asyncio.gather(
        *(shelf.commit(one, number % 2) for number, one in enumerate(held)),
        shelf.libraries.withdraw(shelf.id, None),
        return_exceptions=True,
    )
    assert isinstance(ended.pop(), Library)
    written = outcomes(ended).count("done")
    assert outcomes(ended) == [LibraryNotFound.__name__] * (len(held) - written) + ["done"] * written
    assert await shelf.libraries.count_documents(shelf.id) == written
    with pytest.raises(LibraryNotFound):
        await shelf.begin(uuid4().hex)
    while await shelf.libraries.empty(shelf.id):
        pass
    assert await shelf.libraries.count_documents(shelf.id) == 0
    await shelf.libraries.forget(shelf.id)
    await shelf.libraries.remove(shelf.id)


async def test_keys_are_changed_at_once_and_no_follower_misses_one(database_url: str) -> None:
    databases = [Database(DatabaseOptions(database_url, timeout_s=TIMEOUT_S)) for _ in range(2)]
    seen: list[Transaction] = []
    for database in databases:
        database.observe(seen.append)
    keys = [ApiKeys(database, lambda: _NOW_US) for database in databases]
    ended = asyncio.Event()
    followed: list[ApiKey] = []

    async def follow() -> None:
        newest = 0
        while True:
            last = ended.is_set()
            for key in await keys[1].changed(newest):
                followed.append(key)
                newest = key.revision
            if last:
                return

    async def live(number: int) -> None:
        store = keys[number % 2]
        key = await store.add(ApiKey(uuid4().hex, "name", f"first {number}", {}, _NOW_US, None))
        await store.rotate(key.id, f"second {number}", 10)
        await store.used({key.id: _NOW_US})
        await store.revoke(key.id)

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(live(number) for number in range(_AT_ONCE)))
    ended.set()
    await follower
    assert sum(one.retries for one in seen) == 0
    revisions = [key.revision for key in followed]
    assert revisions == sorted(set(revisions))
    last = {key.id: key for key in followed}
    assert len(last) == _AT_ONCE
    assert all(key.revoked_at_us is not None for key in last.values())
    for database in databases:
        await database.close()
