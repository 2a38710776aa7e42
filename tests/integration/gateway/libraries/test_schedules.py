"""Random changes through two gateways at once, some of which are killed, while others read.

The schedule is seeded; how it interleaves is the machine's. What has to hold holds for every interleaving:
a query or a list sees each document in one state that some change gave it, whole; a query for as many as
there are finds all of them; and in the end each document is what its last change made of it.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanax.core.errors import (
    ChunkNotFound,
    DocumentBusy,
    DocumentNotFound,
    RevisionConflict,
    Unavailable,
)
from hanax.gateway.libraries.requests import DocumentPatch
from hanax.gateway.requests import parse_request
from tests.integration.gateway.libraries.world import World, chunks_of, dying, mortal, running_world

DOCUMENTS = 4
WRITERS = 4
ROUNDS = 12

Texts = frozenset[str]


@pytest.fixture
async def world(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    mortal(monkeypatch)
    async with running_world(tmp_path, database_url) as running:
        yield running


class Model:
    """What each document may be: any state that a change, whether it was heard of or not, may have given."""

    def __init__(self) -> None:
        self.states: dict[str, set[Texts]] = defaultdict(set)

    def texts(self, document: str, version: int) -> list[str]:
        """Of a version: some texts, all of which name it, so that a mixture is told."""
        texts = [f"{document} v{version} n{n}" for n in range(1 + version % 4)]
        self.states[document].add(frozenset(texts))
        return texts


async def test_every_reader_sees_whole_documents_whoever_is_killed(world: World) -> None:
    rng = random.Random(20)
    library = await world.library()
    model = Model()
    documents = {f"d{n}": await world.document(library, model.texts(f"d{n}", 0)) for n in range(DOCUMENTS)}
    versions = iter(range(1, 10_000))
    done = asyncio.Event()

    async def write(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(ROUNDS):
            name = own.choice(sorted(documents))
            gateway = own.randrange(2)
            body = {"chunks": chunks_of(model.texts(name, next(versions)))}
            request = parse_request(DocumentPatch, body)

            async def change(
                gateway: int = gateway, id: str = documents[name], asked: DocumentPatch = request
            ) -> None:
                await world.room(gateway).documents.change(world.call(gateway), id, asked, None)

            try:
                if own.random() < 0.3:
                    await dying(own.randrange(12), change)
                else:
                    await change()
            except (DocumentBusy, Unavailable):
                # Left by one that was killed, or its own lease has ended: time passes quickly here.
                world.pass_time(200)

    async def read(gateway: int) -> int:
        looks = 0
        while not done.is_set():
            try:
                found = await world.found(library, gateway=gateway)
                fewer = await world.found(library, k=DOCUMENTS, gateway=gateway)
            except Unavailable:
                continue  # more changed between its searches than it looks again for
            seen: dict[str, set[str]] = defaultdict(set)
            for text, _ in found:
                seen[text.split()[0]].add(text)
            assert set(seen) == set(documents)
            for name, texts in seen.items():
                assert frozenset(texts) in model.states[name], (name, texts)
            assert len(fewer) == DOCUMENTS
            looks += 1
        return looks

    async def mend() -> None:
        while not done.is_set():
            world.pass_time(60)
            await world.room(1).leftovers.sweep()
            await asyncio.sleep(0.05)

    readers = [asyncio.create_task(read(gateway)) for gateway in (0, 1)]
    mender = asyncio.create_task(mend())
    try:
        await asyncio.gather(*(write(rng.randrange(10**6)) for _ in range(WRITERS)))
    finally:
        done.set()
    looks = await asyncio.gather(*readers)
    await mender
    assert min(looks) > 0
    for _ in range(3):
        world.pass_time(100_000)
        while await world.room(0).leftovers.sweep():
            pass
    total = 0
    for name, id in documents.items():
        listed = await world.listed(id)
        total += len(listed)
        assert frozenset(text for text, _ in listed) in model.states[name]
    assert len(world.stored(library)) == total


async def test_two_changes_of_one_document_do_not_lose_one_another(world: World) -> None:
    """Each is made on what the other left; with a revision, all but one are refused."""
    library = await world.library()
    id = await world.document(library, ["x"])
    rooms = [world.room(number % 2) for number in range(6)]

    async def patch(number: int, if_revision: int | None) -> bool:
        request = parse_request(DocumentPatch, {"metadata": {f"k{number}": number}})
        try:
            await rooms[number].documents.change(world.call(number % 2), id, request, if_revision)
        except RevisionConflict:
            return False
        return True

    def waits_long_enough(outcome: object) -> bool:
        return not isinstance(outcome, DocumentBusy | Unavailable | DocumentNotFound | ChunkNotFound)

    outcomes = await asyncio.gather(*(patch(number, 1) for number in range(6)), return_exceptions=True)
    assert all(map(waits_long_enough, outcomes)), outcomes
    assert outcomes.count(True) == 1
    outcomes = await asyncio.gather(*(patch(number, None) for number in range(6)), return_exceptions=True)
    document = await world.room().documents.get(world.call(), id)
    made = outcomes.count(True)
    assert document.revision == 2 + made
    assert {f"k{number}" for number, one in enumerate(outcomes) if one is True} <= set(document.metadata)
