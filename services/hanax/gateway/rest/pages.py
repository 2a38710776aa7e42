"""Pages of lists, the same everywhere: `limit`, `cursor`, `next_cursor`, and a Link to the next page."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from fastapi import Query
from starlette.requests import Request

from hanax.gateway.list_requests import MAX_PAGE

# A cursor of names is a name of at most 255 letters, and what base64 adds.
_MAX_CURSOR: Final = 512

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="entries at most")]
Cursor = Annotated[str | None, Query(max_length=_MAX_CURSOR, description="next_cursor of the page before")]


class Page(NamedTuple):
    """cursor: of the next page, None on the last one. headers: Link, where there is one."""

    cursor: str | None
    headers: dict[str, str]


def page_to(request: Request, cursor: str | None) -> Page:
    """A page behind which `cursor` leads on."""
    if cursor is None:
        return Page(None, {})
    following = request.url.include_query_params(cursor=cursor)
    return Page(cursor, {"Link": f'<{following.path}?{following.query}>; rel="next"'})
