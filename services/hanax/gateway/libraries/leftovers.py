"""What was left in the middle by a process that ended, or could not reach a part: brought to its end.

Every gateway looks now and then for changes of documents and for libraries whose lease has ended. What it
finds is its own for one lease; what fails is found again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from hanax.core.errors import CollectionNotFound, HanaxError, LibraryNotFound
from hanax.core.library_names import collection_of
from hanax.gateway.calls import Call
from hanax.gateway.collections import Collections
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.metadata.libraries.change_rows import ChangeRows
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.rows import Change, Library

log = structlog.get_logger()

_LOOK_EVERY_S: Final = 5.0
# Taken at one look; more are found by the next.
_AT_ONCE: Final = 20


class Leftovers:
    def __init__(
        self,
        libraries: LibraryRows,
        changes: ChangeRows,
        points: ChunkPoints,
        collections: Collections,
        clock: Callable[[], float],
    ) -> None:
        self._libraries = libraries
        self._changes = changes
        self._points = points
        self._collections = collections
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="leftovers")

    async def close(self) -> None:
        """What is being done is left to whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look_now(self) -> None:
        self._wake.set()

    async def sweep(self) -> bool:
        """Do what is to be done now; whether there may be more."""
        changes = await self._changes.take_over(_AT_ONCE)
        libraries = await self._libraries.take_over(_AT_ONCE)
        for change in changes:
            try:
                await self._end_change(change)
            except HanaxError as error:
                log.info("change left", change=change.id, error=error.message)
        for library in libraries:
            try:
                await self._end_library(library)
            except HanaxError as error:
                log.info("library left", library=library.id, error=error.message)
        return max(len(changes), len(libraries)) == _AT_ONCE

    async def _run(self) -> None:
        while True:
            more = False
            self._wake.clear()
            try:
                more = await self.sweep()
            except HanaxError as error:
                log.info("leftovers not looked for", error=error.message)
            except Exception:
                log.exception("leftovers not looked for")
            if not more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._wake.wait()

    async def _end_change(self, change: Change) -> None:
        """change: as it was found. One that still wrote is undone now, and kept for a second look."""
        try:
            library = await self._libraries.get(change.library_id)
        except LibraryNotFound:
            return  # its changes go with it
        points = change.stale_points if change.state == "committed" else change.point_ids
        await self._points.remove(self._call(), library, points)
        if change.state != "writing":
            await self._changes.forget(change.id)
        log.info("change ended", change=change.id, found=change.state, library=library.id)

    async def _end_library(self, library: Library) -> None:
        """library: as it was found. It is not there for users any more."""
        with suppress(CollectionNotFound):
            await self._collections.withdraw(self._call(), collection_of(library.id), with_aliases=True)
        if library.state == "forgotten":
            await self._libraries.remove(library.id)
            return
        while await self._libraries.empty(library.id):
            pass
        await self._libraries.forget(library.id)
        log.info("library ended", library=library.id, found=library.state)

    def _call(self) -> Call:
        return Call(f"leftovers-{uuid.uuid4().hex}", self._clock, actor="leftovers")
