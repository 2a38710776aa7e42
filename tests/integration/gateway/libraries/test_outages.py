"""What a shard that is away, another request, or a full filter does to changes, indexes and queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import InvalidFilter, Unavailable
from hanax.core.specs import CollectionChange
from hanax.gateway.calls import Call
from hanax.gateway.collections import Collections
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.gateway.libraries.ids import new_id
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.libraries.requests import DocumentPatch, IndexRequest
from hanax.gateway.requests import parse_request
from hanax.metadata.libraries.tables import CHANGES
from tests.integration.gateway.libraries.world import (
    DIMENSION,
    World,
    chunks_of,
    dying,
    mortal,
    running_world,
)

OLD = ["one", "two", "three"]


@pytest.fixture
async def world(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    mortal(monkeypatch)
    async with running_world(tmp_path, database_url) as running:
        yield running


async def _patch(world: World, document_id: str, **body: Any) -> None:
    request = parse_request(DocumentPatch, body)
    await world.room().documents.change(world.call(), document_id, request, None)


@pytest.fixture
def removals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """From now on, no shard removes anything: how many points each attempt was for, and its seconds."""
    asked: list[tuple[int, float]] = []

    async def away(self: ChunkPoints, call: Call, library: Any, ids: list[str]) -> None:
        call.grant(1_000.0)
        asked.append((len(ids), call.deadline - call.clock()))
        if ids:
            raise Unavailable("the shard is away")

    monkeypatch.setattr(ChunkPoints, "remove", away)
    return asked


async def test_a_change_that_is_made_waits_little_for_the_removal_of_what_was(
    world: World, removals: list[tuple[int, float]]
) -> None:
    """Those who come later remove it; a request would wait its whole time out for a shard that is away."""
    library_id = await world.library()
    document_id = await world.document(library_id, OLD)
    removals.clear()
    await _patch(world, document_id, chunks=chunks_of(["new"]))
    ((points, seconds),) = removals
    assert points == len(OLD)
    assert seconds <= 3.0
    assert await world.found(library_id) == [("new", "old")]


async def test_a_change_that_has_written_nothing_removes_nothing(
    world: World, removals: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    library_id = await world.library()
    document_id = await world.document(library_id, OLD)
    removals.clear()

    async def away(self: ChunkPoints, *args: Any, **named: Any) -> None:
        raise Unavailable("the shard is away")

    with monkeypatch.context() as patched:
        patched.setattr(ChunkPoints, "read", away)
        with pytest.raises(Unavailable, match="the shard is away"):
            await _patch(world, document_id, title="new")
    assert [points for points, _ in removals] == [0]
    assert await world.found(library_id) == [(text, "old") for text in sorted(OLD)]


async def test_of_two_indexes_asked_for_at_once_the_one_that_is_built_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is held up behind its declaration, until the second has ended."""
    library_id = await world.library()
    declared, ended = asyncio.Event(), asyncio.Event()
    redeclare = Collections.redeclare

    async def held_up(self: Collections, call: Call, name: str, change: CollectionChange) -> Any:
        found = await redeclare(self, call, name, change)
        if change.index.type == "hnsw":
            declared.set()
            await ended.wait()
        return found

    monkeypatch.setattr(Collections, "redeclare", held_up)

    def build(type: str) -> Any:
        request = parse_request(IndexRequest, {"type": type})
        return world.room().indexes.build(world.call(), library_id, request)

    first = asyncio.create_task(build("hnsw"))
    async with asyncio.timeout(60):
        await declared.wait()
        second = await build("ivf")
        ended.set()
        assert [(await first).type, second.type] == ["ivf", "ivf"]
    told = await world.room().libraries.get(world.call(), library_id)
    assert told.library.index_type == "ivf"


def _filter(library_bytes: int, document_id: str) -> dict[str, Any]:
    """That finds one document, and is so many bytes long."""
    values = [document_id, *(f"{n:097}" for n in range(library_bytes // 100 - 2))]
    return {"field": "document.id", "operator": "in", "value": values}


async def _leave_behind(world: World, library_id: str) -> None:
    """As many changes and stale points as one look at the database tells."""
    changes = [_change(library_id, "undone", []) for _ in range(950)]
    changes += [_change(library_id, "committed", [new_id() for _ in range(100)]) for _ in range(10)]
    database = world.gateways[0].database
    assert database is not None

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(insert(CHANGES), changes)

    await database.run(work)


def _change(library_id: str, state: str, stale: list[str]) -> dict[str, Any]:
    return {
        "id": new_id(),
        "library_id": library_id,
        "document_id": new_id(),
        "holds": None,
        "state": state,
        "points": 0,
        "stale_points": stale,
        "stale_changes": [new_id() for _ in stale],
        "lease_until_at_us": 2**60,
    }


async def test_a_long_filter_finds_what_matches_while_much_is_changed(world: World) -> None:
    """A search that met a change is made again with a longer filter, which has to have room for that."""
    library_id = await world.library()
    document_id = await world.document(library_id, OLD)
    # Its new points are there, and are no chunks.
    assert await dying(4, lambda: _patch(world, document_id, chunks=chunks_of(["new one", "new two"])))
    await _leave_behind(world, library_id)
    shown = (await world.room().documents.get(world.call(), document_id)).id
    shown = f"{shown[:8]}-{shown[8:12]}-{shown[12:16]}-{shown[16:20]}-{shown[20:]}"
    long = _filter(163_800, shown)
    assert 163_500 < len(orjson.dumps(long)) <= 163_840

    async def find(condition: Any) -> list[str]:
        request = parse_request(QueryRequest, {"embedding": [1.0] * DIMENSION, "filter": condition})
        answer = await world.room().queries.query(world.call(), library_id, request)
        return sorted(result.stored.content.text for result in answer.results)

    assert await find(long) == sorted(OLD)
    with pytest.raises(InvalidFilter, match="a library's filter has at most 163840 bytes"):
        await find(_filter(164_000, shown))
