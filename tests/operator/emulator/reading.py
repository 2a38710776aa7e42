"""Reading: single objects, lists in pages, watches."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
from aiohttp import web

from tests.operator.emulator import answers, selectors
from tests.operator.emulator.answers import ApiError
from tests.operator.emulator.bodies import answer_of
from tests.operator.emulator.objects import Objects
from tests.operator.emulator.paths import Target
from tests.operator.emulator.scales import scale_of
from tests.operator.emulator.store import Change, Obj, ObjectName

# A watch without a timeout of its own ends after this; the server picks 30 to 60 minutes.
MAX_WATCH_S: Final = 1_800.0
BOOKMARK_S: Final = 5.0


class Reader:
    """Answers GET."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._store = objects.store

    async def get(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind, query = target.kind, request.query
        if target.name and query.get("watch") not in ("1", "true"):
            found = self._objects.read(kind, target.object_name)
            return answer_of(scale_of(kind, found) if target.subresource == "scale" else found)
        by_labels = selectors.by_labels(query.get("labelSelector", ""))
        by_fields = selectors.by_fields(query.get("fieldSelector", ""), kind.kind)

        def wanted(obj: Mapping[str, Any]) -> bool:
            return by_labels(obj) and by_fields(obj)

        if query.get("watch") in ("1", "true"):
            return await self._watch(request, target, wanted)
        return answer_of(self._list(target, wanted, query))

    def _list(self, target: Target, wanted: Callable[[Obj], bool], query: Mapping[str, str]) -> Obj:
        kind = target.kind
        found = [(name, obj) for name, obj in self._store.all(kind, target.namespace) if wanted(obj)]
        revision = self._store.revision
        if token := query.get("continue"):
            revision, after = _read_token(token)
            found = [(name, obj) for name, obj in found if name > after]
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        limit = int(query.get("limit") or 0)
        if limit and len(found) > limit:
            metadata["continue"] = _token(revision, found[limit - 1][0])
            metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        items = [
            {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
            for _, obj in found
        ]
        if kind.custom:
            items = [obj for _, obj in found]
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": items,
        }

    async def _watch(
        self, request: web.Request, target: Target, wanted: Callable[[Obj], bool]
    ) -> web.StreamResponse:
        query = request.query
        asked = query.get("timeoutSeconds") or str(int(MAX_WATCH_S))
        if not asked.isdecimal():
            raise answers.bad_request(f'strconv.ParseInt: parsing "{asked}": invalid syntax')
        until = time.monotonic() + int(asked)
        bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        with suppress(ConnectionResetError):
            try:
                await self._follow(
                    answer, target, wanted, (query.get("resourceVersion", ""), until, bookmarks)
                )
            except ApiError as error:
                await answer.write(_line("ERROR", error.document))
        return answer

    async def _follow(
        self,
        answer: web.StreamResponse,
        target: Target,
        wanted: Callable[[Obj], bool],
        how: tuple[str, float, bool],
    ) -> None:
        revision, until, bookmarks = how
        kind = target.kind
        if revision in ("", "0"):
            at = self._store.revision
            for name, obj in self._store.all(kind, target.namespace):
                if wanted(obj) and target.name in ("", name[1]):
                    await answer.write(_line("ADDED", obj))
        else:
            at = int(revision)
        marked = at
        while (left := until - time.monotonic()) > 0:
            waiter = self._store.next_change
            upto = self._store.revision
            changes = list(self._store.changes_since(kind, at)) if upto > at else []
            lines = [line for change in changes if (line := _seen(change, target, wanted)) is not None]
            if lines:
                await answer.write(b"".join(lines))
            at = max(at, upto)
            try:
                await asyncio.wait_for(waiter.wait(), min(left, BOOKMARK_S))
            except TimeoutError:
                if bookmarks and at > marked:
                    mark = {
                        "kind": kind.kind,
                        "apiVersion": kind.api_version,
                        "metadata": {"resourceVersion": str(at)},
                    }
                    await answer.write(_line("BOOKMARK", mark))
                    marked = at


def _seen(change: Change, target: Target, wanted: Callable[[Obj], bool]) -> bytes | None:
    """The change as one watcher sees it: an object that its selector no longer takes is deleted to it."""
    metadata = change.object["metadata"]
    if target.namespace not in ("", metadata.get("namespace")) or target.name not in ("", metadata["name"]):
        return None
    before = change.previous is not None and wanted(change.previous)
    now = change.type != "DELETED" and wanted(change.object)
    if not before and not now:
        return None
    word = "ADDED" if not before else "MODIFIED" if now else "DELETED"
    return _line(word, change.object)


def _line(word: str, obj: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": word, "object": obj}) + b"\n"


def _token(revision: int, last: ObjectName) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([revision, *last])).decode()


def _read_token(text: str) -> tuple[int, ObjectName]:
    try:
        revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError) as error:
        raise answers.bad_request("continue key is not valid") from error
    return revision, (namespace, name)
