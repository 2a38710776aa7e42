"""Gateways in this process, on memory nodes and a real database, of which any may be killed at any step.

A step is a transaction of the database or a call to a shard: a gateway can be killed before it, and after
it was done but not heard of. Killed is who meets an exception that nothing catches: what would have followed
does not happen, as in a process that is gone.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from hanax.core.settings import GatewaySettings
from hanax.gateway.calls import Call
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.libraries.requests import IndexRequest, NewDocument, NewLibrary
from hanax.gateway.libraries.room import LibraryRoom
from hanax.gateway.requests import parse_request
from hanax.gateway.services import Services
from hanax.gateway.shards import Shards
from hanax.metadata.database import Database
from hanax.runtime.catalog_folder import CatalogFolder
from hanax.runtime.routing_source import routing_source
from tests.integration.gateway.memory_node import MemoryNode
from tests.integration.gateway.stack import Reconciler

DIMENSION = 4


class Killed(BaseException):
    """The gateway is gone."""


@dataclass
class Death:
    """steps: how many are left, each counted before and after it is done."""

    steps: int

    def meet(self) -> None:
        if self.steps == 0:
            raise Killed
        self.steps -= 1


# Of the task that serves a request, and of nothing else that goes on meanwhile.
DEATH: ContextVar[Death | None] = ContextVar("death", default=None)


def mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, steps may be the last."""

    def wrap(owner: type, name: str) -> None:
        done = getattr(owner, name)

        async def step(*args: Any, **named: Any) -> Any:
            death = DEATH.get()
            if death is not None:
                death.meet()
            found = await done(*args, **named)
            if death is not None:
                death.meet()
            return found

        monkeypatch.setattr(owner, name, step)

    wrap(Database, "run")
    wrap(Database, "run_by_locks")
    wrap(Shards, "_write")


@dataclass
class World:
    """Two gateways, one database. `ahead_us`: how far their clocks are ahead of the real one."""

    folder: Path
    nodes: list[MemoryNode]
    gateways: list[Services] = field(default_factory=list)
    ahead_us: int = 0

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    def room(self, gateway: int = 0) -> LibraryRoom:
        room = self.gateways[gateway].libraries
        assert room is not None
        return room

    def call(self, gateway: int = 0) -> Call:
        return Call(uuid.uuid4().hex, self.gateways[gateway].clock)

    def pass_time(self, seconds: float) -> None:
        self.ahead_us += round(seconds * 1e6)

    def stored(self, library_id: str) -> dict[str, Any]:
        """Metadata of all points of the library's collection, by id, as the nodes have them."""
        name = f"library-{library_id}"
        found: dict[str, Any] = {}
        for node in self.nodes:
            for (uid, _), points in node.shards.items():
                if uid in self._uids(name):
                    for encoded, point in points.items():
                        found[encoded[1:].hex()] = orjson.loads(point.metadata)
        return found

    def _uids(self, name: str) -> set[str]:
        table = self.gateways[0].routing.table
        route = table.collection_by_name.get(name)
        return set() if route is None else {route.uid}

    async def library(self) -> str:
        """A new one that can be queried; its id."""
        body = {"name": uuid.uuid4().hex, "model": None, "dimension": DIMENSION, "shards": 2}
        request = parse_request(NewLibrary, {**body, "index": {"type": "brute_force"}})
        return (await self.room().libraries.create(self.call(), request)).id

    async def document(self, library_id: str, texts: list[str], title: str = "old") -> str:
        request = parse_request(NewDocument, {"title": title, "chunks": chunks_of(texts)})
        written = await self.room().documents.create(self.call(), library_id, request)
        return written.document.id

    async def found(self, library_id: str, k: int = 100, gateway: int = 0) -> list[tuple[str, str]]:
        """Text and document's title of all that a query finds, sorted."""
        request = parse_request(QueryRequest, {"embedding": [1.0] * DIMENSION, "k": k})
        answer = await self.room(gateway).queries.query(self.call(gateway), library_id, request)
        return sorted(
            (result.stored.content.text, result.stored.document["title"]) for result in answer.results
        )

    async def listed(self, document_id: str) -> list[tuple[str, str]]:
        """The same of a document's chunks, by position."""
        _, passages = await self.room().documents.passages(self.call(), document_id, 0, 500, False)
        return [(one.point.stored.content.text, one.point.stored.document["title"]) for one in passages]

    async def build(self, library_id: str) -> None:
        await self.room().indexes.build(self.call(), library_id, parse_request(IndexRequest, {}))


async def dying(steps: int, work: Callable[[], Any]) -> bool:
    """Do `work` in a gateway that is killed after so many half steps; whether it was."""

    async def alone() -> bool:
        DEATH.set(Death(steps))
        try:
            await work()
        except Killed:
            return True
        return False

    return await asyncio.create_task(alone())


def chunks_of(texts: list[str]) -> list[dict[str, Any]]:
    """With vectors that differ a little, so that all are near to all."""
    return [{"text": text, "embedding": [1.0, 1.0, 1.0, 0.5 + (hash(text) % 97) / 97]} for text in texts]


@asynccontextmanager
async def running_world(folder: Path, database_url: str) -> AsyncIterator[World]:
    nodes = [MemoryNode("node-a"), MemoryNode("node-b")]
    reconciler = Reconciler(folder / "catalog", folder / "routing.json", nodes)
    world = World(folder, nodes)
    settings = GatewaySettings(
        database_url=database_url,
        # Where other work keeps the machine busy, too.
        database_timeout_s=60,
        create_timeout_s=60,
        routing_file=folder / "routing.json",
        catalog_dir=folder / "catalog",
        cache="off",
    )
    try:
        async with _gateway(world, settings), _gateway(world, settings):
            yield world
    finally:
        reconciler.close()
        for node in nodes:
            node.stop()


@asynccontextmanager
async def _gateway(world: World, settings: GatewaySettings) -> AsyncIterator[None]:
    services = Services(settings, CatalogFolder(settings.catalog_dir), time.monotonic, world.now_us)
    world.gateways.append(services)
    async with services.running(routing_source(settings, services.routing.apply)):
        await services.routing.wait_for(lambda table: True, time.monotonic() + 60, time.monotonic)
        yield
