"""The inputs of the schema: the request models of every door.

What of a point is answered is told by the fields that are asked for, not by the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import strawberry
from pydantic import BaseModel
from strawberry.types.arguments import StrawberryArgumentAnnotation

from hanax.core.specs import CollectionChange, CollectionSpec
from hanax.gateway.change_requests import AliasSwitchRequest, MetadataRequest
from hanax.gateway.embedding_requests import EmbeddingRequest
from hanax.gateway.graphql.context import Info
from hanax.gateway.graphql.selection import asks_for
from hanax.gateway.graphql.shapes import Shapes, optional_of
from hanax.gateway.guard.rights import GrantBody, NewKey, RateBody
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.libraries.requests import (
    ChunkPatch,
    DocumentPatch,
    IndexRequest,
    LibraryPatch,
    MoreChunks,
    NewDocument,
    NewLibrary,
)
from hanax.gateway.query_requests import (
    BatchSearchRequest,
    DistinctRequest,
    FacetRequest,
    GroupSearchRequest,
    RecommendRequest,
)
from hanax.gateway.requests import (
    CountRequest,
    DeleteRequest,
    InsertRequest,
    ScrollRequest,
    SearchRequest,
)
from hanax.gateway.rerank_requests import RerankRequest

_INCLUDED: Final = ("include_metadata", "include_vectors", "include_version")
_PART: Final[dict[str, Any]] = {"metadata_fields": optional_of(list[str])}

_SHAPES: Final = Shapes()


def _argument(model: type[BaseModel], name: str, without: Sequence[str] = ()) -> StrawberryArgumentAnnotation:
    included = [key for key in _INCLUDED if key in model.model_fields]
    made = _SHAPES.input(model, name, [*included, *without], **(_PART if included else {}))
    return strawberry.argument(graphql_type=made)


SEARCH: Final = _argument(SearchRequest, "SearchInput")
BATCH_SEARCH: Final = _argument(BatchSearchRequest, "BatchSearchInput")
GROUP_SEARCH: Final = _argument(GroupSearchRequest, "GroupSearchInput")
RECOMMEND: Final = _argument(RecommendRequest, "RecommendInput")
FACET: Final = _argument(FacetRequest, "FacetInput")
DISTINCT: Final = _argument(DistinctRequest, "DistinctInput")
SCROLL: Final = _argument(ScrollRequest, "ScrollInput")
COUNT: Final = _argument(CountRequest, "CountInput")
INSERT: Final = _argument(InsertRequest, "InsertInput")
DELETE: Final = _argument(DeleteRequest, "DeleteInput")
METADATA: Final = _argument(MetadataRequest, "MetadataInput")
EMBEDDING: Final = _argument(EmbeddingRequest, "EmbeddingInput")
RERANK: Final = _argument(RerankRequest, "RerankInput")
COLLECTION: Final = _argument(CollectionSpec, "CollectionInput")
COLLECTION_CHANGE: Final = _argument(CollectionChange, "CollectionChangeInput")
ALIASES: Final = _argument(AliasSwitchRequest, "AliasesInput")
LIBRARY: Final = _argument(NewLibrary, "LibraryInput")
LIBRARY_CHANGE: Final = _argument(LibraryPatch, "LibraryChangeInput")
LIBRARY_INDEX: Final = _argument(IndexRequest, "LibraryIndexInput")
DOCUMENT: Final = _argument(NewDocument, "DocumentInput")
LIBRARY_QUERY: Final = _argument(QueryRequest, "LibraryQueryInput", without=("include_embeddings",))
_SHAPES.input(GrantBody, "KeyGrantInput")
_SHAPES.input(RateBody, "KeyRateInput")
KEY: Final = _argument(NewKey, "KeyInput")
CHUNKS: Final = _argument(MoreChunks, "MoreChunksInput")
CHUNK_CHANGE: Final = _argument(ChunkPatch, "ChunkChangeInput")
DOCUMENT_CHANGE: Final = _argument(DocumentPatch, "DocumentChangeInput")

# What an input is when it reaches a resolver: by the names of the request model's fields.
Told = dict[str, Any]


def told(info: Info, given: Told, *points: str) -> Told:
    """The request of an input. points: the way to the points that are answered.

    vectors are named vector; what is not asked for is not fetched.
    """
    request = dict(given)
    fields = request.pop("metadata_fields", None)
    wanted = asks_for(info, *points, "metadata") or asks_for(info, *points, "provenance")
    request["include_metadata"] = fields if wanted and fields is not None else wanted
    request["include_vectors"] = asks_for(info, *points, "vector")
    request["include_version"] = asks_for(info, *points, "version")
    return request
