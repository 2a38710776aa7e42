"""Pages of search results: which of the best hits are answered, and how far from the first they may lie."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.errors import InvalidLimit
from hanax.core.limits import MAX_SEARCH_LIMIT
from hanax.gateway.hits import Hit
from hanax.gateway.query_requests import BatchSearchRequest, RecommendRequest
from hanax.gateway.requests import SearchRequest


@dataclass(frozen=True, slots=True)
class Page:
    """Which of the hits are answered. window: how many of the best must be known for it."""

    offset: int
    limit: int
    tells_more: bool

    @property
    def window(self) -> int:
        return self.offset + self.limit + self.tells_more

    def cut(self, hits: list[Hit]) -> list[Hit]:
        return hits[self.offset : self.offset + self.limit]

    def has_more(self, hits: list[Hit]) -> bool | None:
        return len(hits) > self.offset + self.limit if self.tells_more else None


def page_of(request: SearchRequest | BatchSearchRequest | RecommendRequest) -> Page:
    """Raises InvalidLimit for a page that lies too far from the first hit."""
    offset = request.offset or 0
    if offset + request.limit > MAX_SEARCH_LIMIT:
        raise InvalidLimit(
            f"offset: offset + limit is at most {MAX_SEARCH_LIMIT}, got {offset + request.limit}; "
            "to read everything that matches, scroll"
        )
    return Page(offset, request.limit, request.offset is not None)
