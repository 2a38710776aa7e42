"""The routing table in a ConfigMap, followed through the API: a mounted file comes a minute late.

Listed and then watched from what was listed. A watch ends every _WATCH_S, after which the ConfigMap is
listed anew: so an event that was lost, or a connection that died unseen, costs a minute at most. Nothing that
the API server does or fails to do takes the last good table out of force.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import CancelledError
from typing import Any, Final

import httpx2
import orjson

from hanax.core.errors import DataLoss, HanaxError
from hanax.core.routing import RoutingTable
from hanax.core.routing_config_map import from_config_map
from hanax.runtime.cluster.api_server import TIMEOUT_S, translating
from hanax.runtime.newer_tables import NewerTables

_WATCH_S: Final = 60.0
# Read timeout of a watch: longer than the server lets it live.
_WATCH_GRACE_S: Final = 10.0

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
# A watch that lived for so long was a good one.
_GOOD_WATCH_S: Final = 10.0

# Any call may ask for a look: one in so long is enough, as the watch brings a new table anyway.
_LOOK_EVERY_S: Final = 0.5
_LOOK_PATIENCE_S: Final = 2.0


class _NotApplied(Exception):
    """A table could not be applied, for a reason that was told."""


class RoutingConfigMap:
    """Follow a ConfigMap in a thread of its own and hand each newer table to `on_change`.

    `on_change` runs in that thread, revisions ascending. `http` is closed at the end.
    """

    def __init__(
        self, http: httpx2.AsyncClient, namespace: str, name: str, on_change: Callable[[RoutingTable], None]
    ) -> None:
        self._http = http
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        # By a selector, so that a role that names this one object allows it.
        self._selector = {"fieldSelector": f"metadata.name={name}"}
        self._what = f"reading the ConfigMap {namespace}/{name}"
        self._missing = f"there is no ConfigMap {namespace}/{name}"
        self._tables = NewerTables(on_change, config_map=f"{namespace}/{name}")
        self._loop = asyncio.new_event_loop()
        self._following: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = -_LOOK_EVERY_S
        self._tried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="routing", daemon=True)

    def start(self) -> None:
        """Take the table that is there now, before returning, and follow it from then on.

        Without an answer of the API server it returns too: the table is taken when there is one.
        """
        self._thread.start()
        self._tried.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def look(self) -> None:
        """Take the ConfigMap's table if it is newer. Waits _LOOK_PATIENCE_S at most, and raises nothing."""
        look = self._look()
        try:
            looked = asyncio.run_coroutine_threadsafe(look, self._loop)
        except RuntimeError:  # it has ended
            look.close()
            return
        with contextlib.suppress(Exception, CancelledError):
            looked.result(_LOOK_PATIENCE_S)

    def _run(self) -> None:
        with (
            asyncio.Runner(loop_factory=lambda: self._loop) as runner,
            contextlib.suppress(asyncio.CancelledError),
        ):
            runner.run(self._live())

    def _cancel(self) -> None:
        if self._following is not None:
            self._following.cancel()

    async def _live(self) -> None:
        self._following = asyncio.current_task()
        try:
            await self._follow()
        finally:
            self._tried.set()
            await self._http.aclose()

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            began = self._loop.time()
            try:
                version = await self._list()
                self._tried.set()
                await self._watch(version)
            except _NotApplied:
                pass  # told already
            except Exception as error:
                reason = (
                    error.message if isinstance(error, HanaxError) else f"{type(error).__name__}: {error}"
                )
                self._tables.keep(reason)
            self._tried.set()
            good = self._loop.time() - began > _GOOD_WATCH_S
            pause = _FIRST_PAUSE_S if good else min(pause * 2, _LONGEST_PAUSE_S)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))

    async def _look(self) -> None:
        if self._looking is None or self._looking.done():
            if self._loop.time() - self._looked_at < _LOOK_EVERY_S:
                return
            self._looked_at = self._loop.time()
            self._looking = self._loop.create_task(self._list_quietly())
        # Those who wait share one look, and one of them who gives up does not end it.
        await asyncio.shield(self._looking)

    async def _list_quietly(self) -> None:
        # Who follows meets the same trouble, and tells it.
        with contextlib.suppress(HanaxError, _NotApplied):
            await self._list()

    async def _list(self) -> str:
        """Take the table that is there; the version to watch from."""
        with translating(self._what):
            answer = await self._http.get(self._path, params=self._selector)
            answer.raise_for_status()
        listed = orjson.loads(answer.content)
        if not listed["items"]:
            self._tables.keep(self._missing)
        for found in listed["items"]:
            self._take(found)
        version: str = listed["metadata"]["resourceVersion"]
        return version

    async def _watch(self, version: str) -> None:
        """Take every newer table until the server ends the watch."""
        async with contextlib.aclosing(self._events(version)) as events:
            async for event in events:
                kind, found = event["type"], event["object"]
                if kind in ("ADDED", "MODIFIED"):
                    self._take(found)
                elif kind == "DELETED":
                    self._tables.keep(self._missing)
                elif kind == "ERROR":
                    # Of a version that the server has forgotten, mostly: listing anew brings what was missed.
                    if found.get("code") != 410:
                        self._tables.keep(f"{self._what}: {found.get('message')}")
                    return

    async def _events(self, version: str) -> AsyncGenerator[dict[str, Any]]:
        """One watch. lightkube's own has no read timeout, and begins anew without a pause."""
        params = {
            **self._selector,
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": f"{_WATCH_S:.0f}",
        }
        timeout = httpx2.Timeout(TIMEOUT_S, read=_WATCH_S + _WATCH_GRACE_S)
        with translating(self._what):
            async with self._http.stream("GET", self._path, params=params, timeout=timeout) as answer:
                if answer.is_error:
                    await answer.aread()
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    yield orjson.loads(line)

    def _take(self, found: Mapping[str, Any]) -> None:
        """Raises _NotApplied for a table that is worth another try."""
        try:
            table = from_config_map(found)
        except DataLoss as error:
            self._tables.keep(error.message)
            return
        if not self._tables.offer(table):
            raise _NotApplied
