"""Searches: one, a batch, by examples. All shards answer, or none does.

A point that is itself searched for is left out of its results: the shards are asked for as many more,
and the merge drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import orjson

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.gateway.cache.answers import Asked, Keeping
from hanax.gateway.cache.results import BATCH, SEARCH
from hanax.gateway.calls import Call
from hanax.gateway.diversity import candidates_of, diverse_hits
from hanax.gateway.examples import Examples, ExampleSets, average
from hanax.gateway.hits import Hit, Scale, SearchResult, best_hits
from hanax.gateway.joined_searches import JoinedSearches
from hanax.gateway.pages import Page, page_of
from hanax.gateway.points_filters import only_points
from hanax.gateway.query_requests import BatchSearchRequest, RecommendRequest
from hanax.gateway.requests import SearchRequest
from hanax.gateway.shards import for_each_shard
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix, float32_le
from hanax.gateway.wishes import distance_bound, question_of


class Searches:
    """Each method raises CollectionNotFound, PointNotFound, an InvalidArgument, what embedding raises,
    Unavailable or DeadlineExceeded.
    """

    def __init__(self, upstreams: Upstreams, clock: Callable[[], float]) -> None:
        self._via = upstreams
        self._examples = Examples(upstreams)
        self._joined = JoinedSearches(upstreams.shards, clock)

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        with self._via.metrics.reading("search", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            page = page_of(request)
            question = question_of(request, route)
            question.count_matches, question.explain = request.include_total, request.explain
            given = self._examples.read(route, request)

            async def ask() -> SearchResult:
                query = await self._examples.find(call, route, given)
                own = frozenset(point for point in query.points if point is not None)
                asked = _Asked(request, question, page, own, query.truncated[0])
                return await self._one(call, route, asked, query.matrix)

            if request.explain:
                found = await ask()
            else:
                parts = self._examples.parts(route, given)
                keeping = Keeping(SEARCH, "searches", self._examples.limit_s(given))
                asked = Asked("search", route, request, question.filter_json, keeping, parts)
                found = await self._via.answers.answer(call, asked, ask)
            call.items += len(found.hits)
            return found

    async def search_batch(self, call: Call, request: BatchSearchRequest) -> list[SearchResult]:
        """The result of each query, in order."""
        with self._via.metrics.reading("search_batch", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            page = page_of(request)
            question = question_of(request, route)
            given = self._examples.read_batch(route, request.queries)

            async def ask() -> list[SearchResult]:
                queries = await self._examples.find(call, route, given)
                question.limit = page.window + any(point is not None for point in queries.points)
                answers = await self._joined.ask_alone(call, route, question, queries.matrix)
                scale = Scale(route.spec.metric, request.score_threshold)
                results = []
                for row, (point, truncated) in enumerate(zip(queries.points, queries.truncated, strict=True)):
                    found = [answer.results[row] for answer in answers]
                    hits = best_hits(found, page.window, scale, () if point is None else (point,))
                    results.append(SearchResult(page.cut(hits), truncated, page.has_more(hits)))
                return results

            parts = self._examples.parts(route, given)
            keeping = Keeping(BATCH, "searches", self._examples.limit_s(given))
            asked = Asked("search_batch", route, request, question.filter_json, keeping, parts)
            results = await self._via.answers.answer(call, asked, ask)
            call.items += sum(len(found.hits) for found in results)
            return results

    async def recommend(self, call: Call, request: RecommendRequest) -> SearchResult:
        """Points like the positive and unlike the negative examples."""
        with self._via.metrics.reading("recommend", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            page = page_of(request)
            question = question_of(request, route)
            question.count_matches = request.include_total
            if request.strategy == "best_score" and request.mmr is not None:
                raise InvalidArgument("mmr: goes with average_vector, which has a query to be near to")
            given = self._examples.read_sets(route, request)

            async def ask() -> SearchResult:
                sets = await self._examples.find_sets(call, route, request, given)
                asked = _Asked(request, question, page, sets.points)
                if request.strategy == "average_vector":
                    return await self._one(call, route, asked, average(sets, route.spec))
                return await self._by_best_score(call, route, asked, sets)

            # The same examples on other sides are another question.
            parts = (str(len(request.positive)).encode(), *self._examples.parts(route, given))
            keeping = Keeping(SEARCH, "searches", self._examples.limit_s(given))
            asked = Asked("recommend", route, request, question.filter_json, keeping, parts)
            found = await self._via.answers.answer(call, asked, ask)
            call.items += len(found.hits)
            return found

    async def _one(self, call: Call, route: CollectionRoute, asked: _Asked, matrix: Matrix) -> SearchResult:
        """The page of one query, float32[1, d]."""
        mmr, page = asked.request.mmr, asked.page
        wanted = page.window
        if mmr is not None:
            wanted = candidates_of(mmr, page)
            asked.question.projection.vectors = True
        asked.question.limit = wanted + len(asked.own)
        answered = await self._joined.ask(call, route, asked.question, matrix)
        scale = Scale(route.spec.metric, asked.request.score_threshold)
        hits = best_hits(answered.hits, wanted, scale, asked.own)
        if mmr is not None:
            hits = await diverse_hits(hits, route.spec.metric, page.window, mmr.diversity)
            if not asked.request.include_vectors:
                hits = [Hit(hit.score, hit.record.without_vector()) for hit in hits]
        return await self._result(call, route, asked, answered.answers, hits)

    async def _by_best_score(
        self, call: Call, route: CollectionRoute, asked: _Asked, sets: ExampleSets
    ) -> SearchResult:
        question = asked.question
        # Scores here are products, turned around: they have a dot's scale.
        scale = Scale(Metric.DOT, asked.request.score_threshold)
        questions = for_each_shard(
            route,
            lambda ref: pb.RecommendRequest(
                ref=ref,
                vector_name=DEFAULT_VECTOR,
                dimension=route.spec.dimension,
                positives_float32_le=float32_le(sets.positives),
                negatives_float32_le=float32_le(sets.negatives),
                limit=asked.page.window + len(asked.own),
                filter_json=question.filter_json,
                projection=question.projection,
                max_distance=distance_bound(scale.metric, scale.threshold),
                count_matches=question.count_matches,
            ),
        )
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Recommend, questions)
        call.engine_s = max(answer.shard_seconds for answer in answers)
        hits = best_hits([answer.results[0] for answer in answers], asked.page.window, scale, asked.own)
        return await self._result(call, route, asked, answers, hits)

    async def _result(
        self,
        call: Call,
        route: CollectionRoute,
        asked: _Asked,
        answers: Sequence[pb.SearchResponse],
        hits: list[Hit],
    ) -> SearchResult:
        page, request = asked.page, asked.request
        total = None
        if asked.question.count_matches:
            total = sum(answer.matches for answer in answers)
            total -= await self._matching_among(call, route, request.filter, asked.own)
            for answer in answers:
                call.ends_at(answer.next_expiry_us)
        explanation = None
        if asked.question.explain:
            explanation = [
                {"shard": shard.shard, "segments": orjson.loads(answer.explanation_json or b"[]")}
                for shard, answer in zip(route.shards, answers, strict=True)
            ]
        return SearchResult(
            page.cut(hits),
            asked.truncated,
            page.has_more(hits),
            total,
            request.score_threshold is None,
            explanation,
        )

    async def _matching_among(
        self, call: Call, route: CollectionRoute, condition: object, ids: Collection[bytes]
    ) -> int:
        """How many of these points, which exist, match the filter."""
        if condition is None or not ids:
            return len(ids)
        raw = only_points(condition, sorted(ids))
        questions = for_each_shard(route, lambda ref: pb.CountRequest(ref=ref, filter_json=raw))
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Count, questions)
        return sum(answer.count for answer in answers)


@dataclass(frozen=True, slots=True)
class _Asked:
    """own: the points that are searched for, which exist."""

    request: SearchRequest | RecommendRequest
    question: pb.SearchRequest
    page: Page
    own: frozenset[bytes]
    truncated: bool = False
