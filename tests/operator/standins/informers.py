"""What is in the cluster now, kept by watches, for the stand-ins to decide by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import aiohttp

from tests.operator.api import Api, Refused, path

Obj = dict[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name
# What is told: the object's key, as it was and as it is.
Listener = Callable[[Key, Obj | None, Obj | None], None]

WATCH_S: Final = 300
# Namespaces of tests begin with it. Others may share the cluster: nothing of theirs is touched.
TEST_NAMESPACES: Final = "test-"


def key_of(kind: str, obj: Obj) -> Key:
    return kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Informers:
    """One watch for each kind. Listeners are called for every change, the first list included."""

    def __init__(self, api: Api, kinds: tuple[str, ...], listener: Listener) -> None:
        self._api = api
        self._kinds = kinds
        self._listener = listener
        self._objects: dict[Key, Obj] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        revisions = [await self._list(kind) for kind in self._kinds]
        self._tasks = [
            asyncio.create_task(self._follow(kind, revision))
            for kind, revision in zip(self._kinds, revisions, strict=True)
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        return self._objects.get((kind, namespace, name))

    def all(self, kind: str, namespace: str = "") -> Iterator[Obj]:
        for (found, within, _), obj in list(self._objects.items()):
            if found == kind and namespace in ("", within):
                yield obj

    def owned(self, kind: str, owner: Obj) -> Iterator[Obj]:
        """Those that the object controls."""
        uid = owner["metadata"]["uid"]
        for obj in self.all(kind, owner["metadata"]["namespace"]):
            if any(
                ref["uid"] == uid and ref.get("controller")
                for ref in obj["metadata"].get("ownerReferences", ())
            ):
                yield obj

    async def _follow(self, kind: str, revision: str) -> None:
        while True:
            try:
                async for word, obj in self._api.watch(
                    kind, resourceVersion=revision, timeoutSeconds=str(WATCH_S)
                ):
                    revision = obj["metadata"]["resourceVersion"]
                    if word != "BOOKMARK":
                        self._take(kind, obj, gone=word == "DELETED")
            except Refused as refusal:
                if refusal.code not in (404, 410, 500):
                    raise
                await asyncio.sleep(0.2)
                with suppress(Refused):
                    revision = await self._list(kind)
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.2)

    async def _list(self, kind: str) -> str:
        found = await self._api.request("GET", path(kind))
        items = [{**item, "kind": kind} for item in found["items"]]
        present = {key_of(kind, obj) for obj in items}
        for key, obj in list(self._objects.items()):
            if key[0] == kind and key not in present:
                self._take(kind, obj, gone=True)
        for obj in items:
            self._take(kind, obj, gone=False)
        return str(found["metadata"]["resourceVersion"])

    def _take(self, kind: str, obj: Obj, *, gone: bool) -> None:
        key = key_of(kind, obj)
        if key[1] and not key[1].startswith(TEST_NAMESPACES):
            return
        before = self._objects.get(key)
        if gone:
            self._objects.pop(key, None)
        else:
            self._objects[key] = obj
        self._listener(key, before, None if gone else obj)
