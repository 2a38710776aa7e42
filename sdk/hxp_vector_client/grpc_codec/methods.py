"""Which call of which service does what, and how its messages are written and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hxp_vector_client import operations as do
from hxp_vector_client._stubs import jobs_pb2
from hxp_vector_client.grpc_codec import (
    collections,
    documents,
    jobs,
    keys,
    libraries,
    platform,
    points,
    searches,
    service,
)
from hxp_vector_client.operations import Operation
from hxp_vector_client.requests import Request


@dataclass(frozen=True, slots=True)
class Method:
    """streams: the answer is a stream, whose first message is all that is wanted."""

    service: str
    name: str
    write: Callable[[Request], Any]
    read: Callable[[Any, Request], Any]
    streams: bool = False


def _vectors(name: str, write: Callable[[Request], Any], read: Callable[[Any, Request], Any]) -> Method:
    return Method("VectorService", name, write, read)


def _job(name: str, write: Callable[[Request], Any], read: Callable[[Any, Request], Any]) -> Method:
    return Method("JobService", name, write, read)


def _library(name: str, write: Callable[[Request], Any], read: Callable[[Any, Request], Any]) -> Method:
    return Method("LibraryService", name, write, read)


def _key(name: str, write: Callable[[Request], Any], read: Callable[[Any, Request], Any]) -> Method:
    return Method("KeyService", name, write, read)


def _platform(name: str, write: Callable[[Request], Any], read: Callable[[Any, Request], Any]) -> Method:
    return Method("PlatformService", name, write, read)


METHODS: Final[dict[Operation, Method]] = {
    do.SEARCH: _vectors("SearchVectors", searches.search, searches.read_results),
    do.SEARCH_BATCH: _vectors("SearchVectorsBatch", searches.search_batch, searches.read_batch),
    do.SEARCH_GROUPS: _vectors("SearchVectorGroups", searches.search_groups, searches.read_groups),
    do.RECOMMEND: _vectors("RecommendVectors", searches.recommend, searches.read_results),
    do.FACET: _vectors("FacetValues", searches.facet, searches.read_facet),
    do.DISTINCT: _vectors("DistinctValues", searches.distinct, searches.read_distinct),
    do.INSERT: _vectors("InsertVectors", points.insert, points.read_inserted),
    do.GET_POINTS: _vectors("GetVectors", points.get, points.read_points),
    do.SCROLL: Method("VectorService", "ScrollVectors", points.scroll, points.read_page, streams=True),
    do.COUNT: _vectors("CountVectors", points.count, points.read_count),
    do.DELETE_POINTS: _vectors("DeleteVectors", points.delete, points.read_deleted),
    do.SET_METADATA: _vectors("UpdateVectorsMetadata", points.set_metadata, points.read_changed),
    do.CREATE_COLLECTION: _vectors("CreateCollection", collections.create, collections.read_one),
    do.LIST_COLLECTIONS: _vectors("ListCollections", collections.list_all, collections.read_list),
    do.GET_COLLECTION: _vectors("GetCollection", collections.get, collections.read_one),
    do.UPDATE_COLLECTION: _vectors("UpdateCollection", collections.update, collections.read_one),
    do.DELETE_COLLECTION: _vectors("DeleteCollection", collections.delete, collections.read_deleted),
    do.LIST_ALIASES: _vectors("ListAliases", collections.list_aliases, collections.read_aliases),
    do.GET_ALIAS: _vectors("GetAlias", collections.get_alias, collections.read_alias),
    do.SWITCH_ALIASES: _vectors("ChangeAliases", collections.switch_aliases, collections.read_aliases),
    do.EMBED: _vectors("GenerateEmbedding", service.embed, service.read_embeddings),
    do.RERANK: Method("ModelService", "RerankDocuments", service.rerank, service.read_ranking),
    do.MODEL_STATUS: Method("ModelService", "ListModelStatuses", service.models, service.read_models),
    do.SUBMIT_JOB: _job("SubmitJob", jobs.submit, jobs.read_one),
    do.LIST_JOBS: _job("ListJobs", jobs.list_jobs, jobs.read_list),
    do.GET_JOB: _job("GetJob", jobs.one(jobs_pb2.GetJobRequest), jobs.read_one),
    do.JOB_ITEMS: _job("ListFailedItems", jobs.items, jobs.read_items),
    do.PAUSE_JOB: _job("PauseJob", jobs.one(jobs_pb2.PauseJobRequest), jobs.read_one),
    do.RESUME_JOB: _job("ResumeJob", jobs.one(jobs_pb2.ResumeJobRequest), jobs.read_one),
    do.RETRY_JOB: _job("RetryJob", jobs.one(jobs_pb2.RetryJobRequest), jobs.read_one),
    do.CANCEL_JOB: _job("CancelJob", jobs.one(jobs_pb2.CancelJobRequest), jobs.read_one),
    do.FORGET_JOB: _job("ForgetJob", jobs.one(jobs_pb2.ForgetJobRequest), jobs.read_one),
    do.QUEUE: _job("GetQueue", jobs.queue, jobs.read_queue),
    do.CREATE_LIBRARY: _library("CreateLibrary", libraries.create, libraries.read_library),
    do.LIST_LIBRARIES: _library("ListLibraries", libraries.list_libraries, libraries.read_libraries),
    do.GET_LIBRARY: _library("GetLibrary", libraries.get, libraries.read_described),
    do.UPDATE_LIBRARY: _library("UpdateLibrary", libraries.update, libraries.read_library),
    do.DELETE_LIBRARY: _library("DeleteLibrary", libraries.delete, libraries.read_nothing),
    do.BUILD_INDEX: _library("BuildIndex", libraries.build_index, libraries.read_index),
    do.GET_INDEX: _library("GetIndex", libraries.get_index, libraries.read_index),
    do.QUERY_LIBRARY: _library("QueryLibrary", libraries.query, libraries.read_query),
    do.CREATE_DOCUMENT: _library("CreateDocument", documents.create, documents.read_written),
    do.LIST_DOCUMENTS: _library("ListDocuments", documents.list_documents, documents.read_documents),
    do.GET_DOCUMENT: _library("GetDocument", documents.get, documents.read_document),
    do.UPDATE_DOCUMENT: _library("UpdateDocument", documents.update, documents.read_written),
    do.DELETE_DOCUMENT: _library("DeleteDocument", documents.delete, libraries.read_nothing),
    do.LIST_CHUNKS: _library("ListChunks", documents.list_chunks, documents.read_chunks),
    do.ADD_CHUNKS: _library("AddChunks", documents.add_chunks, documents.read_written),
    do.GET_CHUNK: _library("GetChunk", documents.get_chunk, documents.read_chunk),
    do.UPDATE_CHUNK: _library("UpdateChunk", documents.update_chunk, documents.read_chunk),
    do.DELETE_CHUNK: _library("DeleteChunk", documents.delete_chunk, libraries.read_nothing),
    do.CREATE_KEY: _key("CreateKey", keys.create, keys.read_made),
    do.LIST_KEYS: _key("ListKeys", keys.list_keys, keys.read_list),
    do.ROTATE_KEY: _key("RotateKey", keys.rotate, keys.read_made),
    do.GET_KEY: _key("GetKey", keys.get, keys.read_one),
    do.REVOKE_KEY: _key("RevokeKey", keys.revoke, keys.read_one),
    do.LIST_OPERATIONS: _platform("ListOperations", platform.operations, platform.read_operations),
    do.CACHE_STATS: _platform("GetCacheStats", platform.cache_stats, platform.read_cache_stats),
    do.WARM_CACHE: _platform("WarmCache", platform.warm_cache, platform.read_warmed),
    do.CLEAR_CACHE: _platform("ClearCache", platform.clear_cache, platform.read_cleared),
}
