"""Documents change whole or not at all, wherever the gateway is killed, on both databases.

Every kind of change is begun as often as it has steps, and killed at another one each time. Right after it,
before anything is mended, readers see the document as before or as meant, and find nothing else. Later no
point is left that is no chunk, and the document can be changed again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hanax.core.errors import DocumentBusy, DocumentNotFound, Unavailable
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.gateway.libraries.requests import (
    ChunkPatch,
    DocumentPatch,
    MoreChunks,
    NewDocument,
    NewLibrary,
)
from hanax.gateway.requests import parse_request
from hanax.metadata.libraries.change_rows import ChangeRows
from hanax.metadata.libraries.rows import Leases
from tests.integration.gateway.libraries.world import World, chunks_of, dying, mortal, running_world

OLD = ["one", "two", "three", "four", "five"]

# Behind every lease: of a change, and of what was undone.
_LATER_S = 100_000.0

State = list[tuple[str, str]]
Change = Callable[[World, str, str], Awaitable[Any]]


@pytest.fixture
async def world(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    mortal(monkeypatch)
    async with running_world(tmp_path, database_url) as running:
        yield running


def _state(texts: list[str], title: str = "old") -> State:
    return [(text, title) for text in texts]


async def _patch(world: World, document_id: str, **body: Any) -> None:
    request = parse_request(DocumentPatch, body)
    await world.room().documents.change(world.call(), document_id, request, None)


async def _replace(world: World, library_id: str, document_id: str) -> None:
    await _patch(world, document_id, chunks=chunks_of(["new one", "new two", "new three"]), title="new")


async def _retitle(world: World, library_id: str, document_id: str) -> None:
    await _patch(world, document_id, title="new")


async def _add(world: World, library_id: str, document_id: str) -> None:
    request = parse_request(MoreChunks, {"chunks": chunks_of(["between"]), "position": 1})
    await world.room().documents.add(world.call(), document_id, request, None)


async def _change_chunk(world: World, library_id: str, document_id: str) -> None:
    _, passages = await world.room().documents.passages(world.call(), document_id, 2, 1, False)
    request = parse_request(ChunkPatch, {"text": "third", "embedding": [1.0, 1.0, 1.0, 1.0]})
    await world.room().passages.change(world.call(), passages[0].chunk.id, request, None)


async def _delete_chunk(world: World, library_id: str, document_id: str) -> None:
    _, passages = await world.room().documents.passages(world.call(), document_id, 2, 1, False)
    await world.room().passages.delete(world.call(), passages[0].chunk.id, None)


async def _delete(world: World, library_id: str, document_id: str) -> None:
    await world.room().documents.delete(world.call(), document_id, None)


CHANGES: dict[str, tuple[Change, State | None]] = {
    "replace": (_replace, _state(["new one", "new two", "new three"], "new")),
    "retitle": (_retitle, _state(OLD, "new")),
    "add": (_add, _state(["one", "between", *OLD[1:]])),
    "change_chunk": (_change_chunk, _state(["one", "two", "third", "four", "five"])),
    "delete_chunk": (_delete_chunk, _state(["one", "two", "four", "five"])),
    "delete": (_delete, None),
}


async def _seen(world: World, library_id: str, document_id: str) -> State | None:
    """The document as read; a query finds the same, through either gateway."""
    try:
        seen = await world.listed(document_id)
    except DocumentNotFound:
        seen = None
    for gateway in (0, 1):
        assert await world.found(library_id, gateway=gateway) == sorted(seen or [])
        assert len(await world.found(library_id, k=2, gateway=gateway)) == min(2, len(seen or []))
    return seen


async def _mended(world: World, library_id: str) -> None:
    """The other gateway ends what is left, once the lease has ended; no point is left that is no chunk."""
    for _ in range(3):
        world.pass_time(_LATER_S)
        while await world.room(1).leftovers.sweep():
            pass
    points = world.stored(library_id)
    current = await _registered(world, library_id)
    assert set(points) == current


async def _registered(world: World, library_id: str) -> set[str]:
    ids: set[str] = set()
    for document in await world.room().documents.page(world.call(), library_id, 100, None):
        _, passages = await world.room().documents.passages(world.call(), document.id, 0, 500, False)
        ids |= {one.chunk.point_id for one in passages}
    return ids


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_that_is_killed_anywhere_is_whole_or_nothing(world: World, name: str) -> None:
    change, meant = CHANGES[name]
    library_id = await world.library()
    steps, before, after = 0, 0, 0
    while True:
        document_id = await world.document(library_id, OLD)
        killed = await dying(steps, partial(change, world, library_id, document_id))
        seen = await _seen(world, library_id, document_id)
        assert seen in (_state(OLD), meant)
        before, after = before + (seen == _state(OLD)), after + (seen == meant)
        await _mended(world, library_id)
        assert await _seen(world, library_id, document_id) == seen
        if not killed:
            break
        if seen is not None:
            await _patch(world, document_id, title="changed again")
            await world.room().documents.delete(world.call(), document_id, None)
        assert world.stored(library_id) == {}
        steps += 1
    # Both were met: the change has steps on either side of its commit.
    assert before >= 2
    assert after >= 3


async def test_a_new_document_that_is_killed_anywhere_is_whole_or_nothing(world: World) -> None:
    library_id = await world.library()
    steps = 0
    while True:
        document_id = uuid.uuid4().hex
        body = {"id": document_id, "title": "old", "chunks": chunks_of(OLD)}
        request = parse_request(NewDocument, body)

        async def create(asked: NewDocument = request) -> None:
            await world.room().documents.create(world.call(), library_id, asked)

        killed = await dying(steps, create)
        seen = await _seen(world, library_id, document_id)
        assert seen in (None, _state(OLD))
        await _mended(world, library_id)
        assert await _seen(world, library_id, document_id) == seen
        if not killed:
            break
        if seen is None:
            # The same request again, with the same id.
            await create()
        await world.room().documents.delete(world.call(), document_id, None)
        assert world.stored(library_id) == {}
        steps += 1
    assert steps >= 6


async def test_a_change_of_a_live_gateway_is_not_undone_by_another(world: World) -> None:
    """Before its lease ends it holds the document, and points that are no chunks yet stay."""
    library_id = await world.library()
    document_id = await world.document(library_id, OLD)
    # Killed between its writes and its commit: a gateway that is alive looks like this, too.
    killed = await dying(4, lambda: _replace(world, library_id, document_id))
    assert killed
    points = world.stored(library_id)
    assert len(points) > len(OLD)
    assert not await world.room(1).leftovers.sweep()
    assert world.stored(library_id) == points
    with pytest.raises(DocumentBusy) as refused:
        await _retitle(world, library_id, document_id)
    assert refused.value.details["retry_after_s"] == 1
    # Who comes after the lease need not wait for the sweep.
    world.pass_time(Leases(0.0).held_s + 1.0)
    await _retitle(world, library_id, document_id)
    assert await _seen(world, library_id, document_id) == _state(OLD, "new")
    await _mended(world, library_id)


async def test_a_change_that_takes_long_holds_its_document(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes several leases to write its points, and is renewed meanwhile."""
    library_id = await world.library()
    document_id = await world.document(library_id, OLD)
    write, renew = ChunkPoints.write, ChangeRows.renew
    renewed: asyncio.Queue[int] = asyncio.Queue()

    async def noted(self: ChangeRows, change_id: str) -> None:
        began_us = world.now_us()
        await renew(self, change_id)
        renewed.put_nowait(began_us)

    async def late(self: ChunkPoints, *args: Any) -> None:
        for _ in range(3):
            world.pass_time(0.8 * Leases(0.0).held_s)
            since_us = world.now_us()
            while await renewed.get() < since_us:
                pass
        assert not await world.room(1).leftovers.sweep()
        await write(self, *args)

    monkeypatch.setattr(ChangeRows, "renew_each_s", 0.01)
    monkeypatch.setattr(ChangeRows, "renew", noted)
    monkeypatch.setattr(ChunkPoints, "write", late)
    async with asyncio.timeout(60):
        await _replace(world, library_id, document_id)
    assert await _seen(world, library_id, document_id) == _state(["new one", "new two", "new three"], "new")


async def test_a_gateway_that_was_held_up_does_not_commit_what_was_undone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sleeps over its lease behind its first transaction, and writes its points after the undoing."""
    library_id = await world.library()
    document_id = await world.document(library_id, OLD)
    write = ChunkPoints.write

    async def late(self: ChunkPoints, *args: Any) -> None:
        world.pass_time(_LATER_S)
        await world.room(1).leftovers.sweep()
        await write(self, *args)

    monkeypatch.setattr(ChunkPoints, "write", late)
    with pytest.raises(Unavailable, match="took too long"):
        await _replace(world, library_id, document_id)
    monkeypatch.undo()
    assert await _seen(world, library_id, document_id) == _state(OLD)
    await _mended(world, library_id)


async def test_a_library_that_is_killed_anywhere_is_there_or_not(world: World) -> None:
    """Its name is free in the end where it is not, and its collection gone."""
    steps = 0
    while True:
        name = uuid.uuid4().hex
        body = {"name": name, "model": None, "dimension": 4}
        request = parse_request(NewLibrary, body)

        async def create(asked: NewLibrary = request) -> None:
            await world.room().libraries.create(world.call(), asked)

        killed = await dying(steps, create)
        await _mended_libraries(world)
        names = [library.name for library in await world.room().libraries.page(world.call(), 100, None)]
        declared = [one.spec.name for one in await world.gateways[0].collections.list(world.call())]
        assert len(declared) == len(names)
        if not killed:
            break
        if name not in names:
            await create()
        for library in await world.room().libraries.page(world.call(), 100, None):
            await world.room().libraries.delete(world.call(), library.id, None)
        await _mended_libraries(world)
        assert await world.gateways[0].collections.list(world.call()) == []
        steps += 1
    assert steps >= 2


async def _mended_libraries(world: World) -> None:
    for _ in range(3):
        world.pass_time(_LATER_S)
        await world.room(1).leftovers.sweep()
