"""Changes of documents: their chunks change together or not at all, for readers too.

A change holds its document, writes points that are no chunks yet, and commits: the one transaction in the
database that makes them the document's chunks (hanax.metadata.libraries.change_rows). Then the points that
are chunks no longer are removed. Killed before the commit, all is as it was, but for points that nobody
finds; killed after it, all is as it was meant, but for such points. `leftovers` removes both.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import structlog

from hanax.core.errors import DeadlineExceeded, DocumentBusy, HanaxError, Unavailable
from hanax.core.library_names import collection_of
from hanax.gateway.calls import Call
from hanax.gateway.libraries.chunk_points import ChunkPoints, NewPoints
from hanax.gateway.metrics import Metrics
from hanax.metadata.libraries.change_rows import ChangeRows, Held, Intent
from hanax.metadata.libraries.rows import Change, Document, Library, Splice, shown_id

log = structlog.get_logger()

# A change that is under way ends sooner, unless its gateway is gone.
_PATIENCE_S: Final = 3.0
_LONGEST_PAUSE_S: Final = 0.2
# Of the removal of points behind a change. Where a shard is away longer, nobody waits for that: `leftovers`
# comes to it.
_REMOVAL_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Revised:
    """What shall be. document: None: there is none any more. points: of new chunks; None: there are none."""

    document: Document | None
    splice: Splice
    points: NewPoints | None = None


# From the document as it is held to what it shall be.
Revise = Callable[[Held], Awaitable[Revised]]


class DocumentChanges:
    def __init__(self, rows: ChangeRows, points: ChunkPoints, metrics: Metrics) -> None:
        self._rows = rows
        self._points = points
        self._metrics = metrics

    async def make(self, call: Call, name: str, intent: Intent, revise: Revise) -> Revised:
        """Change a document as `revise` says; it may raise, and nothing is changed. name: of the operation.

        Raises what `ChangeRows.begin` and `commit` raise, and Unavailable where it took too long.
        """
        # Cut short it would hold the document until its lease ends.
        call.must_end = True
        with self._metrics.changing(name, collection_of(intent.library_id), call):
            held = await self._begin(call, intent)
            async with self._renewed(held.change):
                return await self._make(call, intent, held, revise)

    async def _make(self, call: Call, intent: Intent, held: Held, revise: Revise) -> Revised:
        for left in held.undone:
            await self._remove(call, held.library, left.id, left.point_ids)
        written: list[str] = []
        try:
            revised = await revise(held)
            if revised.points is not None:
                written = held.change.point_ids
                await self._points.write(call, held.library, revised.points)
            change = await self._rows.commit(held, revised.document, revised.splice)
        except HanaxError:
            change = await self._settle(call, held, written)
            if change is None:
                raise
        except Exception:
            await self._settle(call, held, written)
            raise
        if change is None:
            await self._remove(call, held.library, held.change.id, written)
            raise Unavailable(
                f"the change of document {shown_id(intent.document_id)} took too long, and was undone: "
                "send it again"
            )
        if await self._remove(call, held.library, change.id, change.stale_points):
            await self._forget(change.id)
        return revised

    @asynccontextmanager
    async def _renewed(self, change: Change) -> AsyncIterator[None]:
        """The document is held as long as this takes; where the process ends, for a short time more."""
        renewing = asyncio.create_task(self._renew(change.id))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, change_id: str) -> None:
        while True:
            await asyncio.sleep(self._rows.renew_each_s)
            try:
                await self._rows.renew(change_id)
            except HanaxError as error:
                log.info("change not renewed", change=change_id, error=error.message)

    async def _begin(self, call: Call, intent: Intent) -> Held:
        """Waits a little for another change of the document. Raises DocumentBusy after that."""
        until = call.clock() + _PATIENCE_S
        while True:
            try:
                return await self._rows.begin(intent)
            except DocumentBusy:
                if call.clock() > until:
                    raise
            except (Unavailable, DeadlineExceeded):
                # Where it has begun unheard, the document is not to be held for that.
                with suppress(HanaxError):
                    await self._rows.undo(intent.id)
                raise
            await asyncio.sleep(random.uniform(0.0, _LONGEST_PAUSE_S))

    async def _settle(self, call: Call, held: Held, written: list[str]) -> Change | None:
        """After a failure: undo the change; or the change where it was committed unheard.

        written: its points that may be there. Where the database does not answer either, the change is left
        to the end of its lease.
        """
        try:
            undone = await self._rows.undo(held.change.id)
            if undone is None:
                found = await self._rows.find(held.change.id)
                return found if found is not None and found.state == "committed" else None
        except HanaxError as error:
            log.warning("change left unsettled", change=held.change.id, error=error.message)
            return None
        await self._remove(call, held.library, undone.id, written)
        return None

    async def _remove(self, call: Call, library: Library, change_id: str, points: list[str]) -> bool:
        """Whether they are gone; if not, they are removed later."""
        own = Call(call.request_id, call.clock, call.control, call.actor, call.caller)
        own.places, own.waited_s = call.places, call.waited_s
        own.limit(_REMOVAL_S)
        try:
            await self._points.remove(own, library, points)
        except HanaxError as error:
            log.info("points left", change=change_id, library=library.id, error=error.message)
            return False
        return True

    async def _forget(self, change_id: str) -> None:
        try:
            await self._rows.forget(change_id)
        except HanaxError as error:
            log.info("change left", change=change_id, error=error.message)
