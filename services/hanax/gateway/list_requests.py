"""What a user may ask of lists. REST has the same in its queries."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from hanax.core.limits import MAX_DOCUMENT_CHUNKS
from hanax.gateway.requests import Request

MAX_PAGE: Final = 1_000
MAX_CHUNKS_OF_PAGE: Final = 500

_Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class PageRequest(Request):
    """cursor: `next_cursor` of the page before."""

    limit: _Limit = 100
    cursor: str | None = None


class JobListRequest(Request):
    """before: a job's id; those that are older."""

    state: Literal["queued", "running", "paused", "succeeded", "partial", "failed", "cancelled"] | None = None
    limit: _Limit = 100
    before: str | None = None


class FailedItemsRequest(Request):
    """after: number of the last item of the page before; -1: from the first on."""

    after: Annotated[int, Field(ge=-1)] = -1
    limit: _Limit = 100


class ChunkPageRequest(Request):
    """offset: position of the first."""

    offset: Annotated[int, Field(ge=0, le=MAX_DOCUMENT_CHUNKS)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_CHUNKS_OF_PAGE)] = 100
