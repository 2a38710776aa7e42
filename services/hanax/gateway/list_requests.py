"""What a user may ask of lists. REST has the same in its queries."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from hanax.core.limits import MAX_DOCUMENT_CHUNKS
from hanax.gateway.cache.frequent import MAX_REQUESTS
from hanax.gateway.requests import Request

MAX_PAGE: Final = 1_000
MAX_CHUNKS_OF_PAGE: Final = 500

_Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class PageRequest(Request):
    """cursor: `next_cursor` of the page before."""

    limit: _Limit = 100
    cursor: str | None = None


class OperationListRequest(PageRequest):
    """Lines of the operation log of which all that is given is true."""

    collection: Annotated[str | None, Field(max_length=255)] = None
    operation: Annotated[str | None, Field(max_length=64)] = None
    outcome: Annotated[str | None, Field(max_length=64)] = None


class WarmRequest(Request):
    """limit: requests that are asked again."""

    limit: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] = 32


class JobListRequest(PageRequest):
    """before: a job's id; those that are older."""

    state: Literal["queued", "running", "paused", "succeeded", "partial", "failed", "cancelled"] | None = None
    before: str | None = None


class FailedItemsRequest(Request):
    """after: number of the last item of the page before; -1: from the first on."""

    after: Annotated[int, Field(ge=-1, le=2**63 - 1)] = -1
    limit: _Limit = 100


class ChunkPageRequest(Request):
    """offset: position of the first."""

    offset: Annotated[int, Field(ge=0, le=MAX_DOCUMENT_CHUNKS)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_CHUNKS_OF_PAGE)] = 100
