"""All points of a collection, or all that match, as a stream of pages: the next one is asked for while the
last one is sent, and no more than that is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from hanax.gateway.calls import Call
from hanax.gateway.queries import Queries, ScrolledPage
from hanax.gateway.requests import ScrollRequest

# Points that are held at once, of two pages, with vectors and without.
_PAGE: Final = 500
_PAGE_OF_VECTORS: Final = 128


class ScrollStreams:
    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def pages(
        self, call: Call, request: ScrollRequest, most: int | None, uid: str = ""
    ) -> AsyncIterator[ScrolledPage]:
        """Pages from the request's cursor on; their size is chosen here, its limit passed over.

        most: points in all; None: all that there are. uid: as for `Queries.scrolled`, which says what is
        raised: before the first page, or behind any.
        """
        size = _PAGE_OF_VECTORS if request.include_vectors else _PAGE
        left, cursor = most, request.cursor
        asking: asyncio.Future[ScrolledPage] | None = None
        try:
            while left is None or left > 0:
                if asking is None:
                    asking = self._ask(call, request, cursor, _size(size, left), uid)
                page = await asking
                asking, cursor = None, page.next_cursor
                left = None if left is None else left - len(page.places)
                if cursor is not None and left != 0:
                    asking = self._ask(call, request, cursor, _size(size, left), uid)
                yield page
                if cursor is None:
                    return
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    def _ask(
        self, call: Call, request: ScrollRequest, cursor: str | None, limit: int, uid: str
    ) -> asyncio.Future[ScrolledPage]:
        wanted = request.model_copy(update={"cursor": cursor, "limit": limit})
        return asyncio.ensure_future(self._queries.scrolled(call, wanted, uid))


def _size(page: int, left: int | None) -> int:
    return page if left is None else min(page, left)
