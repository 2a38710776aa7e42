"""Lists of every watched kind, so that nothing that was deleted stays in the store.

A watch tells of deletions from its own list on. What went before that list is told by nobody: it was in an
earlier list of ours, or of the watch's, and is in none of its events. So each kind is listed here again after
each list that its watch begins with, at the start and whenever a watch was broken for too long. Such a list
is not older than the watch: what it lacks is gone, and what goes later the watch tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from hanax.core.errors import HanaxError, NotFound
from hanax.core.resources.names import APP, APP_LABEL
from hanax_operator.api import Api
from hanax_operator.objects import RESOURCE_KINDS, WATCHED_KINDS, Kind, Manifest
from hanax_operator.store import Store

log = structlog.get_logger()


class Lists:
    """`changed` is called with each object that a list tells to be new, different or gone.

    retry_s: pause while the API server does not answer, or does not know the custom resources yet.
    """

    def __init__(
        self, api: Api, store: Store, changed: Callable[[Manifest], None], retry_s: float = 2.0
    ) -> None:
        self._api = api
        self._retry_s = retry_s
        self._store = store
        self._changed = changed
        self._asked: dict[Kind, None] = {}
        self._any_asked = asyncio.Event()
        self._unwatched = set(WATCHED_KINDS)
        self._complete = asyncio.Event()
        self._told = ""

    async def all(self) -> None:
        """List every kind; wait while the cluster can't be listed."""
        for kind in WATCHED_KINDS:
            await self._list_until_known(kind)

    def watched_anew(self, kind: Kind) -> None:
        """The watch of a kind has begun with a list of its own."""
        self._asked[kind] = None
        self._any_asked.set()

    async def complete(self) -> None:
        """Wait until every kind is watched, and was listed since."""
        await self._complete.wait()

    async def follow(self) -> None:
        """List what `watched_anew` asks for, until cancelled."""
        while True:
            await self._any_asked.wait()
            self._any_asked.clear()
            while self._asked:
                # Out before it is listed: the watch may begin again meanwhile.
                kind = next(iter(self._asked))
                del self._asked[kind]
                await self._list_until_known(kind)
                self._unwatched.discard(kind)
            if not self._unwatched:
                self._complete.set()

    async def _list_until_known(self, kind: Kind) -> None:
        while True:
            try:
                await self._list(kind)
            except HanaxError as error:
                if error.message != self._told:
                    self._told = error.message
                    missing = isinstance(error, NotFound)
                    log.error("the cluster can't be listed", error=error.message, kinds_missing=missing)
                await asyncio.sleep(self._retry_s)
            else:
                self._told = ""
                return

    async def _list(self, kind: Kind) -> None:
        selector = None if kind in RESOURCE_KINDS else {APP_LABEL: APP}
        listing = await self._api.listing(kind, selector)
        for obj in self._store.replace(kind, listing.objects, listing.version):
            self._changed(obj)
