"""What went before a watch stood is missed by no list: it leaves the store, and is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import kopf
from aiohttp import web

from hanax.core.errors import Unavailable
from hanax_operator.handlers.watching import Ears, traced
from hanax_operator.lists import Lists
from hanax_operator.objects import POD, STATEFUL_SET, WATCHED_KINDS, Kind, Manifest, key, name_of
from hanax_operator.store import Store
from tests.unit.operator.memory_api import MemoryApi
from tests.unit.operator.samples import child

NAME = "vc-docs-0"


@asynccontextmanager
async def following(lists: Lists) -> AsyncIterator[None]:
    task = asyncio.ensure_future(lists.follow())
    try:
        yield
    finally:
        task.cancel()


async def test_what_was_deleted_before_its_watch_stood_leaves_the_store() -> None:
    api, store, told = MemoryApi(), Store(()), list[str]()
    lists = Lists(api.as_api(), store, lambda obj: told.append(name_of(obj)))
    api.objects[key(STATEFUL_SET, NAME)] = child("StatefulSet", NAME, "apps/v1")
    await lists.all()
    assert store.get(key(STATEFUL_SET, NAME)) is not None
    # Nobody listens yet: no event will tell that it goes.
    del api.objects[key(STATEFUL_SET, NAME)]
    told.clear()
    async with following(lists):
        for kind in WATCHED_KINDS:
            lists.watched_anew(kind)
        await asyncio.wait_for(lists.complete(), 5.0)
    assert store.get(key(STATEFUL_SET, NAME)) is None
    assert told == [NAME]


async def test_lists_are_complete_when_every_kind_is_watched() -> None:
    api = MemoryApi()
    lists = Lists(api.as_api(), Store(()), lambda _: None)
    await lists.all()
    complete = asyncio.ensure_future(lists.complete())
    async with following(lists):
        for kind in WATCHED_KINDS[1:]:
            lists.watched_anew(kind)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not complete.done()
        lists.watched_anew(WATCHED_KINDS[0])
        await asyncio.wait_for(complete, 5.0)


async def test_a_list_that_fails_is_asked_for_again() -> None:
    api = MemoryApi()
    lists = Lists(api.as_api(), Store(()), lambda _: None, retry_s=0.01)
    api.failure = Unavailable("no answer", status=0)
    async with following(lists):
        for kind in WATCHED_KINDS:
            lists.watched_anew(kind)
        await asyncio.wait_for(lists.complete(), 5.0)


async def test_a_list_that_a_watch_begins_with_is_noticed_and_a_watch_is_not() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"items": []}, status=410 if "watch" in request.query else 200)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    told: list[Kind] = []
    try:
        info = kopf.ConnectionInfo(server=url)
        session = traced(info, Ears(_deaf, told.append)).aiohttp_session
        async with session:
            for path in ("/api/v1/namespaces/team/pods?limit=500", "/apis/apps/v1", "/api/v1/namespaces"):
                async with session.get(url + path) as found:
                    await found.json()
            async with session.get(url + "/api/v1/namespaces/team/pods?watch=true") as found:
                # What a watch is refused with is read as a whole too.
                await found.json()
    finally:
        await runner.cleanup()
    assert told == [POD]


def _deaf(event: str, obj: Manifest) -> Any:
    raise AssertionError("no event was sent")
