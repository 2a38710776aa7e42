"""Searches: what is near to a vector, a text, a point or several examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from hxp_vector_client import operations
from hxp_vector_client._async.calls import AsyncCalls
from hxp_vector_client.arrays import VectorLike
from hxp_vector_client.columns import IdLike
from hxp_vector_client.models import Groups, SearchResults
from hxp_vector_client.options import (
    BatchSearchOptions,
    GroupSearchOptions,
    RecommendOptions,
    SearchOptions,
    checked,
)
from hxp_vector_client.requests import Request
from hxp_vector_client.sought import Queries, example, query_json, sought_json


class AsyncSearches:
    """Part of the client."""

    _calls: AsyncCalls

    async def search(
        self,
        collection: str,
        vector: VectorLike | None = None,
        *,
        text: str | None = None,
        like: IdLike | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResults:
        """The nearest points to a vector of shape (dimension,), to a text, or like a point; best first.

        Options: see SearchOptions. Raises CollectionNotFound, DimensionMismatch, InvalidFilter, ...
        """
        body = {
            "collection": collection,
            **sought_json(vector, text, like),
            **checked(SearchOptions, options),
        }
        return SearchResults.read(await self._calls.call(Request(operations.SEARCH, body)))

    async def search_batch(
        self, collection: str, queries: Queries, **options: Unpack[BatchSearchOptions]
    ) -> list[SearchResults]:
        """Up to 100 searches in one request, with the same options; the answers are in their order.

        queries: float32 of shape (n, dimension), or a list of vectors, of {"vector": ...}, {"text": ...} and
        {"id": ...}.
        """
        body = {
            "collection": collection,
            "queries": [query_json(query) for query in queries],
            **checked(BatchSearchOptions, options),
        }
        answer = await self._calls.call(Request(operations.SEARCH_BATCH, body))
        return [SearchResults.read(one) for one in answer["batches"]]

    async def search_groups(
        self,
        collection: str,
        group_by: str,
        vector: VectorLike | None = None,
        *,
        text: str | None = None,
        like: IdLike | None = None,
        **options: Unpack[GroupSearchOptions],
    ) -> Groups:
        """The nearest values of the metadata field `group_by`, with the nearest points of each."""
        body = {
            "collection": collection,
            "group_by": group_by,
            **sought_json(vector, text, like),
            **checked(GroupSearchOptions, options),
        }
        return Groups.read(await self._calls.call(Request(operations.SEARCH_GROUPS, body)))

    async def recommend(
        self,
        collection: str,
        positive: Sequence[IdLike | VectorLike],
        negative: Sequence[IdLike | VectorLike] = (),
        **options: Unpack[RecommendOptions],
    ) -> SearchResults:
        """Points like the positive examples and unlike the negative ones: ids or vectors."""
        body = {
            "collection": collection,
            "positive": [example(one) for one in positive],
            "negative": [example(one) for one in negative],
            **checked(RecommendOptions, options),
        }
        return SearchResults.read(await self._calls.call(Request(operations.RECOMMEND, body)))
