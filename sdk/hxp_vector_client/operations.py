"""What the server does, as this client calls it: one name for each, and how REST spells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

ROOT: Final = "/api/v1"


class Again(Enum):
    """When a request may be sent once more though the one before may have been done.

    FREELY: it changes nothing, or the same thing. WITH_KEY: where the server knows it by its idempotency key.
    NEVER: its answer holds a secret, which no server keeps.
    """

    FREELY = "freely"
    WITH_KEY = "with_key"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Operation:
    """path: with the names of its parts in braces. enveloped: the answer is in `data`."""

    name: str
    method: str
    path: str
    again: Again = Again.FREELY
    writes: bool = False
    enveloped: bool = True


def _read(name: str, method: str, path: str) -> Operation:
    return Operation(name, method, ROOT + path)


def _write(name: str, method: str, path: str, again: Again = Again.FREELY) -> Operation:
    return Operation(name, method, ROOT + path, again, writes=True)


def _library(name: str, method: str, path: str, again: Again = Again.FREELY) -> Operation:
    writes = method != "GET" and not path.endswith("/query")
    return Operation(name, method, ROOT + path, again, writes, enveloped=False)


# --- points: what they name is written, so that twice is once -----------------------------------------
SEARCH: Final = _read("search", "POST", "/vectors/search")
SEARCH_BATCH: Final = _read("search_batch", "POST", "/vectors/search/batch")
SEARCH_GROUPS: Final = _read("search_groups", "POST", "/vectors/search/groups")
RECOMMEND: Final = _read("recommend", "POST", "/vectors/recommend")
GET_POINTS: Final = _read("get_points", "POST", "/vectors/get")
SCROLL: Final = _read("scroll", "POST", "/vectors/scroll")
COUNT: Final = _read("count", "POST", "/vectors/count")
FACET: Final = _read("facet", "POST", "/vectors/facet")
DISTINCT: Final = _read("distinct", "POST", "/vectors/distinct")
INSERT: Final = _write("insert", "POST", "/vectors/insert")
DELETE_POINTS: Final = _write("delete_points", "POST", "/vectors/delete")
SET_METADATA: Final = _write("set_metadata", "POST", "/vectors/metadata")

# --- collections and aliases --------------------------------------------------------------------------
CREATE_COLLECTION: Final = _write("create_collection", "POST", "/collections", Again.WITH_KEY)
LIST_COLLECTIONS: Final = _read("list_collections", "GET", "/collections")
GET_COLLECTION: Final = _read("get_collection", "GET", "/collections/{name}")
UPDATE_COLLECTION: Final = _write("update_collection", "PATCH", "/collections/{name}")
DELETE_COLLECTION: Final = _write("delete_collection", "DELETE", "/collections/{name}", Again.WITH_KEY)
LIST_ALIASES: Final = _read("list_aliases", "GET", "/aliases")
GET_ALIAS: Final = _read("get_alias", "GET", "/aliases/{alias}")
SWITCH_ALIASES: Final = _write("switch_aliases", "POST", "/aliases/switch", Again.WITH_KEY)

# --- embeddings and models ----------------------------------------------------------------------------
EMBED: Final = _read("embed", "POST", "/embeddings/generate")
RERANK: Final = Operation("rerank", "POST", "/v1/rerank", enveloped=False)
MODEL_STATUS: Final = Operation("model_status", "GET", "/external/status")

# --- jobs ---------------------------------------------------------------------------------------------
SUBMIT_JOB: Final = _write("submit_job", "POST", "/jobs", Again.WITH_KEY)
LIST_JOBS: Final = _read("list_jobs", "GET", "/jobs")
GET_JOB: Final = _read("get_job", "GET", "/jobs/{job_id}")
JOB_ITEMS: Final = _read("job_items", "GET", "/jobs/{job_id}/items")
JOB_EVENTS: Final = _read("job_events", "GET", "/jobs/{job_id}/events")
JOB_RESULT: Final = _read("job_result", "GET", "/jobs/{job_id}/result")
PAUSE_JOB: Final = _write("pause_job", "POST", "/jobs/{job_id}/pause", Again.WITH_KEY)
RESUME_JOB: Final = _write("resume_job", "POST", "/jobs/{job_id}/resume", Again.WITH_KEY)
RETRY_JOB: Final = _write("retry_job", "POST", "/jobs/{job_id}/retry", Again.WITH_KEY)
CANCEL_JOB: Final = _write("cancel_job", "DELETE", "/jobs/{job_id}")
FORGET_JOB: Final = _write("forget_job", "DELETE", "/jobs/{job_id}", Again.WITH_KEY)
QUEUE: Final = _read("queue", "GET", "/queue")

# --- libraries ----------------------------------------------------------------------------------------
CREATE_LIBRARY: Final = _library("create_library", "POST", "/libraries", Again.WITH_KEY)
LIST_LIBRARIES: Final = _library("list_libraries", "GET", "/libraries")
GET_LIBRARY: Final = _library("get_library", "GET", "/libraries/{library_id}")
UPDATE_LIBRARY: Final = _library("update_library", "PATCH", "/libraries/{library_id}", Again.WITH_KEY)
DELETE_LIBRARY: Final = _library("delete_library", "DELETE", "/libraries/{library_id}", Again.WITH_KEY)
BUILD_INDEX: Final = _library("build_index", "POST", "/libraries/{library_id}/index")
GET_INDEX: Final = _library("get_index", "GET", "/libraries/{library_id}/index")
QUERY_LIBRARY: Final = _library("query_library", "POST", "/libraries/{library_id}/query")
CREATE_DOCUMENT: Final = _library(
    "create_document", "POST", "/libraries/{library_id}/documents", Again.WITH_KEY
)
LIST_DOCUMENTS: Final = _library("list_documents", "GET", "/libraries/{library_id}/documents")
GET_DOCUMENT: Final = _library("get_document", "GET", "/documents/{document_id}")
UPDATE_DOCUMENT: Final = _library("update_document", "PATCH", "/documents/{document_id}", Again.WITH_KEY)
DELETE_DOCUMENT: Final = _library("delete_document", "DELETE", "/documents/{document_id}", Again.WITH_KEY)
LIST_CHUNKS: Final = _library("list_chunks", "GET", "/documents/{document_id}/chunks")
ADD_CHUNKS: Final = _library("add_chunks", "POST", "/documents/{document_id}/chunks", Again.WITH_KEY)
GET_CHUNK: Final = _library("get_chunk", "GET", "/chunks/{chunk_id}")
UPDATE_CHUNK: Final = _library("update_chunk", "PATCH", "/chunks/{chunk_id}", Again.WITH_KEY)
DELETE_CHUNK: Final = _library("delete_chunk", "DELETE", "/chunks/{chunk_id}", Again.WITH_KEY)

# --- keys, operations, the cache, health --------------------------------------------------------------
CREATE_KEY: Final = _write("create_key", "POST", "/keys", Again.NEVER)
LIST_KEYS: Final = _read("list_keys", "GET", "/keys")
ROTATE_KEY: Final = _write("rotate_key", "POST", "/keys/{key_id}/rotate", Again.NEVER)
GET_KEY: Final = _read("get_key", "GET", "/keys/{key_id}")
REVOKE_KEY: Final = _write("revoke_key", "DELETE", "/keys/{key_id}")
LIST_OPERATIONS: Final = _read("list_operations", "GET", "/operations")
CACHE_STATS: Final = Operation("cache_stats", "GET", "/cache/stats")
WARM_CACHE: Final = Operation("warm_cache", "POST", "/cache/warm", writes=True)
CLEAR_CACHE: Final = Operation("clear_cache", "DELETE", "/cache", writes=True)
METRICS: Final = Operation("metrics", "GET", "/metrics")
HEALTH: Final = Operation("health", "GET", "/health")
DATABASE_HEALTH: Final = Operation("database_health", "GET", "/health/database")
READY: Final = Operation("ready", "GET", "/ready")

ALL: Final = tuple(value for value in list(globals().values()) if isinstance(value, Operation))
