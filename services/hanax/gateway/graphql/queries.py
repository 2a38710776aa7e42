"""Queries. Each field parses, calls one service object, and answers what REST answers."""

from __future__ import annotations

from typing import Annotated, Any, Final

import strawberry

from hanax.gateway.graphql import inputs
from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.cost import Cost, ListSize
from hanax.gateway.graphql.fields import answers
from hanax.gateway.graphql.inputs import Told, told
from hanax.gateway.graphql.platform_fields import PlatformQueries
from hanax.gateway.graphql.results import (
    render_facet,
    render_groups,
    render_result,
    render_values,
)
from hanax.gateway.graphql.scalars import Long, PointId
from hanax.gateway.graphql.selection import asks_for
from hanax.gateway.graphql.shapes import list_of
from hanax.gateway.graphql.types import TYPES
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.pages import cut_page, read_cursor
from hanax.gateway.list_cursors import cut_by_key, read_key, write_key
from hanax.gateway.list_requests import FailedItemsRequest, JobListRequest, PageRequest
from hanax.gateway.models.status import model_statuses
from hanax.gateway.queries import point_not_found
from hanax.gateway.query_requests import (
    BatchSearchRequest,
    DistinctRequest,
    FacetRequest,
    GroupSearchRequest,
    RecommendRequest,
)
from hanax.gateway.renderings.collections import render_described, render_listed
from hanax.gateway.renderings.jobs import render_item, render_job, render_queue
from hanax.gateway.renderings.libraries import render_document, render_library, render_passage
from hanax.gateway.renderings.models import render_reranked, render_status
from hanax.gateway.renderings.points import render_record
from hanax.gateway.requests import (
    CountRequest,
    GetRequest,
    ScrollRequest,
    SearchRequest,
    parse_request,
)
from hanax.gateway.rerank_requests import RerankRequest
from hanax.metadata.jobs.job import JobState

# A search asks every shard of its collection; with a text, a model too.
_SEARCH: Final = Cost(weight=100)
_READ: Final = Cost(weight=20)
_LIST: Final = Cost(weight=10)


def _sized(argument: str, field: str, assumed: int) -> ListSize:
    return ListSize(assumed_size=assumed, slicing_arguments=[argument], sized_fields=[field])


_IDS = Annotated[list[Any], strawberry.argument(graphql_type=list_of(PointId))]
_ID = Annotated[Any, strawberry.argument(graphql_type=PointId)]


@strawberry.type
class Query(PlatformQueries):
    @answers(
        TYPES.points.results,
        "The nearest points to a vector, a text or a point, best first",
        _SEARCH,
        _sized("input.limit", "results", 10),
    )
    async def search_vectors(self, info: Info, input: Annotated[Told, inputs.SEARCH]) -> Any:
        asked = parse_request(SearchRequest, told(info, input, "results"))
        async with info.context.part("searchVectors") as call:
            return render_result(await info.context.services.searches.search(call, asked))

    @answers(
        TYPES.points.batch,
        "Several searches of one collection: the same limit and filter for all",
        Cost(weight=100, each="input.queries"),
        _sized("input.queries", "batches", 10),
        _sized("input.limit", "batches.results", 10),
    )
    async def search_vectors_batch(self, info: Info, input: Annotated[Told, inputs.BATCH_SEARCH]) -> Any:
        asked = parse_request(BatchSearchRequest, told(info, input, "batches", "results"))
        async with info.context.part("searchVectorsBatch") as call:
            results = await info.context.services.searches.search_batch(call, asked)
        return {"batches": [render_result(result) for result in results]}

    @answers(
        TYPES.points.groups,
        "The nearest values of a metadata field, with the nearest points of each",
        _SEARCH,
        _sized("input.limit", "groups", 10),
        _sized("input.groupSize", "groups.results", 3),
    )
    async def search_groups(self, info: Info, input: Annotated[Told, inputs.GROUP_SEARCH]) -> Any:
        asked = parse_request(GroupSearchRequest, told(info, input, "groups", "results"))
        async with info.context.part("searchGroups") as call:
            return render_groups(await info.context.services.group_searches.search(call, asked))

    @answers(
        TYPES.points.results,
        "Points like the positive examples and unlike the negative ones, best first",
        _SEARCH,
        _sized("input.limit", "results", 10),
    )
    async def recommend(self, info: Info, input: Annotated[Told, inputs.RECOMMEND]) -> Any:
        asked = parse_request(RecommendRequest, told(info, input, "results"))
        async with info.context.part("recommend") as call:
            return render_result(await info.context.services.searches.recommend(call, asked))

    @answers(
        TYPES.points.facet,
        "The values of a metadata field that most points have, with exact counts",
        _READ,
        _sized("input.limit", "values", 10),
    )
    async def facet(self, info: Info, input: Annotated[Told, inputs.FACET]) -> Any:
        asked = parse_request(FacetRequest, input)
        async with info.context.part("facet") as call:
            return render_facet(await info.context.services.aggregates.facet(call, asked))

    @answers(
        TYPES.points.values,
        "A page of the values of a metadata field, in order",
        _READ,
        _sized("input.limit", "values", 100),
    )
    async def distinct(self, info: Info, input: Annotated[Told, inputs.DISTINCT]) -> Any:
        asked = parse_request(DistinctRequest, input)
        async with info.context.part("distinct") as call:
            return render_values(await info.context.services.aggregates.distinct(call, asked))

    @answers(Long, "How many points there are, or how many match", _READ)
    async def count(self, info: Info, input: Annotated[Told, inputs.COUNT]) -> Any:
        asked = parse_request(CountRequest, input)
        async with info.context.part("count") as call:
            return await info.context.services.queries.count(call, asked)

    @answers(
        TYPES.points.page,
        "A page of all points, in an order that writes do not disturb, or by a metadata field",
        _READ,
        _sized("input.limit", "vectors", 100),
    )
    async def scroll(self, info: Info, input: Annotated[Told, inputs.SCROLL]) -> Any:
        asked = parse_request(ScrollRequest, told(info, input, "vectors"))
        async with info.context.part("scroll") as call:
            page = await info.context.services.queries.scroll(call, asked)
        records = [render_record(one, asked.collection, page.model) for one in page.records]
        return {"vectors": records, "next_cursor": page.next_cursor}

    @answers(
        TYPES.points.points,
        "Points by their ids, in the order asked; those that are missing are named",
        _READ,
        _sized("ids", "vectors", 100),
    )
    async def get_vectors(self, info: Info, collection: str, ids: _IDS) -> Any:
        asked = parse_request(GetRequest, told(info, {"collection": collection, "ids": ids}, "vectors"))
        async with info.context.part("getVectors") as call:
            found = await info.context.services.queries.get(call, asked)
        records = [render_record(one, asked.collection, found.model) for one in found.records]
        return {"vectors": records, "missing": found.missing}

    @answers(TYPES.points.point, "One point", _READ)
    async def get_vector(self, info: Info, collection: str, id: _ID) -> Any:
        asked = parse_request(GetRequest, told(info, {"collection": collection, "ids": [id]}))
        async with info.context.part("getVector") as call:
            found = await info.context.services.queries.get(call, asked)
            if not found.records:
                raise point_not_found(collection, found.missing[0])
        return render_record(found.records[0], collection, found.model)

    @answers(TYPES.collections, "Collections by name", _LIST, _sized("limit", "collections", 100))
    async def collections(self, info: Info, limit: int = 100, cursor: str | None = None) -> Any:
        asked = parse_request(PageRequest, {"limit": limit, "cursor": cursor})
        async with info.context.part("collections") as call:
            listed = await info.context.services.collections.list(call)
        page, following = cut_by_key(listed, lambda one: one.spec.name, asked.limit, asked.cursor)
        return {"collections": [render_listed(one) for one in page], "next_cursor": following}

    @answers(TYPES.collection, "One collection, by its name or an alias", _LIST)
    async def collection(self, info: Info, name: str) -> Any:
        return render_described(await info.context.loaders.collections.load(name))

    @answers(list_of(TYPES.alias), "All aliases by name", _LIST, ListSize(assumed_size=100))
    async def aliases(self, info: Info) -> Any:
        async with info.context.part("aliases") as call:
            found = await info.context.services.aliases.list(call)
        return [{"alias": alias, "collection": name} for alias, name in sorted(found.items())]

    @answers(
        list_of(TYPES.model),
        "Every model with its endpoints, as the gateway that answers knows them",
        _LIST,
        ListSize(assumed_size=10),
    )
    async def models(self, info: Info) -> Any:
        async with info.context.part("models"):
            return [render_status(one) for one in model_statuses(info.context.services.models)]

    @answers(
        TYPES.ranking,
        "Texts in the order of how well they fit a query, which a cross-encoder reads with each",
        Cost(weight=5, each="input.documents"),
        _sized("input.documents", "results", 100),
    )
    async def rerank(self, info: Info, input: Annotated[Told, inputs.RERANK]) -> Any:
        asked = parse_request(RerankRequest, input)
        async with info.context.part("rerank") as call:
            return render_reranked(await info.context.services.reranking.rerank(call, asked))

    @answers(
        TYPES.jobs, "The newest jobs first; state: those in it alone", _LIST, _sized("limit", "jobs", 100)
    )
    async def jobs(
        self, info: Info, state: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Any:
        asked = parse_request(JobListRequest, {"state": state, "limit": limit})
        last = None if cursor is None else read_key(cursor)
        wanted = None if asked.state is None else JobState(asked.state)
        async with info.context.part("jobs") as call:
            found = await info.context.services.jobs.list(call, asked.limit + 1, wanted, last)
        page = found[: asked.limit]
        following = write_key(page[-1].id) if len(found) > asked.limit else None
        return {"jobs": [render_job(job) for job in page], "next_cursor": following}

    @answers(TYPES.job, "One job", _LIST)
    async def job(self, info: Info, id: strawberry.ID) -> Any:
        async with info.context.part("job") as call:
            return render_job(await info.context.services.jobs.get(call, id))

    @answers(
        TYPES.failed_items,
        "Items of a job that failed, in their order; after: next_after of the page before",
        _LIST,
        _sized("limit", "items", 100),
    )
    async def failed_items(self, info: Info, job: strawberry.ID, after: int = -1, limit: int = 100) -> Any:
        asked = parse_request(FailedItemsRequest, {"after": after, "limit": limit})
        async with info.context.part("failedItems") as call:
            found = await info.context.services.jobs.failed_items(call, job, asked.after, asked.limit + 1)
        page = found[: asked.limit]
        return {
            "items": [render_item(item) for item in page],
            "next_after": page[-1].number if len(found) > asked.limit else None,
        }

    @answers(TYPES.queue, "How many jobs there are in each state, and how much waits", _LIST)
    async def queue(self, info: Info) -> Any:
        async with info.context.part("queue") as call:
            return render_queue(await info.context.services.jobs.queue(call))

    @answers(TYPES.libraries.page, "Libraries, the newest first", _LIST, _sized("limit", "libraries", 100))
    async def libraries(self, info: Info, limit: int = 100, cursor: str | None = None) -> Any:
        asked = parse_request(PageRequest, {"limit": limit, "cursor": cursor})
        async with info.context.part("libraries") as call:
            room = info.context.libraries
            found = await room.libraries.page(call, asked.limit + 1, read_cursor(asked.cursor))
        page, following = cut_page(found, asked.limit)
        return {"libraries": [render_library(one) for one in page], "next_cursor": following}

    @answers(TYPES.libraries.library, "One library", _LIST)
    async def library(self, info: Info, id: strawberry.ID) -> Any:
        return render_library(await info.context.loaders.libraries.load(parse_id(id, "library_id")))

    @answers(TYPES.libraries.document, "One document", _LIST)
    async def document(self, info: Info, id: strawberry.ID) -> Any:
        return render_document(await info.context.loaders.documents.load(parse_id(id, "document_id")))

    @answers(TYPES.libraries.chunk, "One chunk", _READ)
    async def chunk(self, info: Info, id: strawberry.ID) -> Any:
        vectors = asks_for(info, "embedding")
        async with info.context.part("chunk") as call:
            room = info.context.libraries
            found = await room.passages.get(call, parse_id(id, "chunk_id"), vectors)
        return render_passage(found, vectors)
