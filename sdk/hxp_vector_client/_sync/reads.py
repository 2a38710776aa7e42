# Written by scripts/gen_sdk.py from _async/reads.py; edit that, and run `make gen`.
"""Points by their ids or a filter, one by one or all, and the values of their metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._sync.calls import Calls
from hxp_vector_client.columns import IdLike, plain_id
from hxp_vector_client.errors import PointNotFound
from hxp_vector_client.filters import FilterLike, filter_json
from hxp_vector_client.models import Facet, Page, Point, Points, Value, ValuesPage
from hxp_vector_client.options import GetOptions, ScrollOptions, checked
from hxp_vector_client.requests import Request


class Reads:
    """Part of the client."""

    _calls: Calls

    def get(self, collection: str, ids: Sequence[IdLike], **options: Unpack[GetOptions]) -> Points:
        """Points by their ids, up to 2,000, in that order; those that are missing are named.

        With metadata, vectors and versions, unless the options say otherwise.
        """
        body = {
            "collection": collection,
            "ids": [plain_id(one) for one in ids],
            **checked(GetOptions, options),
        }
        return Points.read(self._calls.call(Request(operations.GET_POINTS, body)))

    def get_one(self, collection: str, id: IdLike, **options: Unpack[GetOptions]) -> Point:
        """One point. Raises PointNotFound."""
        found = self.get(collection, [id], **options)
        if not found.points:
            raise PointNotFound(f"collection {collection!r} has no point {plain_id(id)!r}")
        return found.points[0]

    def count(self, collection: str, filter: FilterLike | None = None) -> int:
        """How many points there are, or how many match."""
        body = {"collection": collection, "filter": filter_json(filter)}
        answer = self._calls.call(Request(operations.COUNT, body))
        return int(answer["count"])

    def scroll(
        self, collection: str, *, limit: int | None = None, **options: Unpack[ScrollOptions]
    ) -> Iterator[Point]:
        """All points, or those that match, `limit` at most: read page by page as they are taken.

        The order is one that writes do not disturb, or by a metadata field with order_by.
        """
        given = 0
        for page in self.pages(collection, **options):
            for point in page.points:
                if limit is not None and given >= limit:
                    return
                yield point
                given += 1

    def pages(
        self, collection: str, *, cursor: str | None = None, **options: Unpack[ScrollOptions]
    ) -> Iterator[Page]:
        """The same, a page at a time. cursor: next_cursor of a page that was read before."""
        body: dict[str, Any] = {"collection": collection, **checked(ScrollOptions, options)}
        if "page_size" in body:
            body["limit"] = body.pop("page_size")
        while True:
            asked = {**body, "cursor": cursor}
            page = Page.read(self._calls.call(Request(operations.SCROLL, asked)))
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def facet(
        self, collection: str, field: str, *, filter: FilterLike | None = None, limit: int = 10
    ) -> Facet:
        """The values of a metadata field that most points have, with exact counts."""
        body = {"collection": collection, "field": field, "filter": filter_json(filter), "limit": limit}
        return Facet.read(self._calls.call(Request(operations.FACET, body)))

    def distinct(
        self, collection: str, field: str, *, filter: FilterLike | None = None, page_size: int = 100
    ) -> Iterator[Value]:
        """All values of a metadata field, in order: read page by page as they are taken."""
        body = {"collection": collection, "field": field, "filter": filter_json(filter), "limit": page_size}
        cursor: str | None = None
        while True:
            asked = {**body, "cursor": cursor}
            page = ValuesPage.read(self._calls.call(Request(operations.DISTINCT, asked)))
            yield from page.values
            cursor = page.next_cursor
            if cursor is None:
                return
