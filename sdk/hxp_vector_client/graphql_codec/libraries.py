"""Libraries, documents and chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hxp_vector_client.errors import DocumentNotFound, LibraryNotFound
from hxp_vector_client.graphql_codec.writing import Asked, Document, ask, camel_keys, fields, same
from hxp_vector_client.requests import Request

_LIBRARY: Final = fields("id name metadata model dimension metric index_type revision created_at updated_at")
_INDEX: Final = fields("{type state parameters target_recall segments unsealed_chunks recall reason}")
_DOCUMENT: Final = fields("id library_id title metadata chunking chunk_count revision created_at updated_at")
_WRITTEN: Final = f"{{{_DOCUMENT} {fields('chunk_ids truncated split')}}}"
_PLACE: Final = fields("id document_id library_id position revision text metadata headings start end")
_CHUNK: Final = fields("provenance{model version pattern at content_hash}created_at updated_at")
_VECTOR: Final = " embedding(encoding:BASE64)"
_STEPS: Final = "steps{step tries seconds outcome skipped}"


def _create(request: Request) -> Asked:
    given = camel_keys(request.body or {})
    if given.get("index") is not None:
        given["index"] = camel_keys(given["index"])
    return ask("mutation", "createLibrary(input:$input)", f"{{{_LIBRARY}}}", input=("LibraryInput!", given))


def _list(request: Request) -> Asked:
    return ask(
        "query",
        "libraries(limit:$limit,cursor:$cursor)",
        f"{{libraries{{{_LIBRARY}}}{fields('next_cursor')}}}",
        **_paged(request),
    )


def _get(request: Request) -> Asked:
    return ask("query", "library(id:$id)", f"{{{_LIBRARY} {fields('document_count')}}}", **_library(request))


def _update(request: Request) -> Asked:
    return ask(
        "mutation",
        "updateLibrary(id:$id,input:$input,ifRevision:$if)",
        f"{{{_LIBRARY}}}",
        **_library(request),
        input=("LibraryChangeInput!", camel_keys(request.body or {})),
        **_revision(request),
    )


def _delete(request: Request) -> Asked:
    call = "deleteLibrary(id:$id,ifRevision:$if)"
    return ask("mutation", call, "", **_library(request), **_revision(request))


def _build(request: Request) -> Asked:
    given = ("LibraryIndexInput!", camel_keys(request.body or {}))
    call = "buildLibraryIndex(id:$id,input:$input)"
    return ask("mutation", call, _INDEX, **_library(request), input=given)


def _index(request: Request) -> Asked:
    return ask("query", "library(id:$id)", f"{{index{_INDEX}}}", **_library(request))


def _read_index(answer: Any, request: Request) -> Any:
    return _inside(answer, "index", request)


def _query(request: Request) -> Asked:
    body = dict(request.body or {})
    vectors = _VECTOR if body.pop("include_embeddings", False) else ""
    given = camel_keys(body)
    if given.get("steps") is not None:
        given["steps"] = {step: camel_keys(limits) for step, limits in given["steps"].items()}
    found = f"{{{_PLACE} score {fields('rerank_score')} document{{id title metadata}}{vectors}}}"
    return ask(
        "query",
        "library(id:$id)",
        f"{{query(input:$input){{results{found}truncated {_STEPS}}}}}",
        **_library(request),
        input=("LibraryQueryInput!", given),
    )


def _read_query(answer: Any, request: Request) -> Any:
    return _inside(answer, "query", request)


def _create_document(request: Request) -> Asked:
    return ask(
        "mutation",
        "createDocument(libraryId:$id,input:$input)",
        _WRITTEN,
        **_library(request),
        input=("DocumentInput!", _content(request.body or {})),
    )


def _list_documents(request: Request) -> Asked:
    page = f"documents(limit:$limit,cursor:$cursor){{documents{{{_DOCUMENT}}}{fields('next_cursor')}}}"
    return ask("query", "library(id:$id)", f"{{{page}}}", **_library(request), **_paged(request))


def _read_documents(answer: Any, request: Request) -> Any:
    return _inside(answer, "documents", request)


def _get_document(request: Request) -> Asked:
    return ask("query", "document(id:$id)", f"{{{_DOCUMENT}}}", **_document(request))


def _update_document(request: Request) -> Asked:
    return ask(
        "mutation",
        "updateDocument(id:$id,input:$input,ifRevision:$if)",
        _WRITTEN,
        **_document(request),
        input=("DocumentChangeInput!", _content(request.body or {})),
        **_revision(request),
    )


def _delete_document(request: Request) -> Asked:
    call = "deleteDocument(id:$id,ifRevision:$if)"
    return ask("mutation", call, "", **_document(request), **_revision(request))


def _list_chunks(request: Request) -> Asked:
    vectors = _VECTOR if request.query.get("include_embeddings") else ""
    chunks = f"chunks{{{_PLACE} {_CHUNK}{vectors}}}{fields('next_offset')}"
    return ask(
        "query",
        "document(id:$id)",
        f"{{chunks(offset:$offset,limit:$limit){{document{{{_DOCUMENT}}}{chunks}}}}}",
        **_document(request),
        offset=("Int!", request.query.get("offset", 0)),
        limit=("Int!", request.query.get("limit", 100)),
    )


def _read_chunks(answer: Any, _: Request) -> Any:
    if answer is None:
        raise DocumentNotFound("there is no such document")
    return answer["chunks"]


def _get_chunk(request: Request) -> Asked:
    vectors = _VECTOR if request.query.get("include_embedding") else ""
    given = ("ID!", request.path["chunk_id"])
    return ask("query", "chunk(id:$id)", f"{{{_PLACE} {_CHUNK}{vectors}}}", id=given)


def _add_chunks(request: Request) -> Asked:
    return ask(
        "mutation",
        "addChunks(documentId:$id,input:$input,ifRevision:$if)",
        _WRITTEN,
        **_document(request),
        input=("MoreChunksInput!", _content(request.body or {})),
        **_revision(request),
    )


def _update_chunk(request: Request) -> Asked:
    return ask(
        "mutation",
        "updateChunk(id:$id,input:$input,ifRevision:$if)",
        f"{{{_PLACE} {_CHUNK}}}",
        id=("ID!", request.path["chunk_id"]),
        input=("ChunkChangeInput!", camel_keys(request.body or {})),
        **_revision(request),
    )


def _delete_chunk(request: Request) -> Asked:
    given = ("ID!", request.path["chunk_id"])
    return ask("mutation", "deleteChunk(id:$id,ifRevision:$if)", "", id=given, **_revision(request))


def _read_deleted(_: Any, __: Request) -> None:
    return None


def _inside(answer: Any, name: str, request: Request) -> Any:
    if answer is None:
        raise LibraryNotFound(f"there is no library {request.path['library_id']}")
    return answer[name]


def _content(body: Mapping[str, Any]) -> dict[str, Any]:
    given = camel_keys(body)
    if given.get("chunks") is not None:
        given["chunks"] = [camel_keys(chunk) for chunk in given["chunks"]]
    return given


def _library(request: Request) -> dict[str, Any]:
    return {"id": ("ID!", request.path["library_id"])}


def _document(request: Request) -> dict[str, Any]:
    return {"id": ("ID!", request.path["document_id"])}


def _revision(request: Request) -> dict[str, Any]:
    return {"if": ("Int", request.if_match)}


def _paged(request: Request) -> dict[str, Any]:
    query = request.query
    return {"limit": ("Int!", query.get("limit", 100)), "cursor": ("String", query.get("cursor"))}


CREATE: Final = Document(_create, same)
LIST: Final = Document(_list, same)
GET: Final = Document(_get, same)
UPDATE: Final = Document(_update, same)
DELETE: Final = Document(_delete, _read_deleted)
BUILD_INDEX: Final = Document(_build, same)
GET_INDEX: Final = Document(_index, _read_index)
QUERY: Final = Document(_query, _read_query)
CREATE_DOCUMENT: Final = Document(_create_document, same)
LIST_DOCUMENTS: Final = Document(_list_documents, _read_documents)
GET_DOCUMENT: Final = Document(_get_document, same)
UPDATE_DOCUMENT: Final = Document(_update_document, same)
DELETE_DOCUMENT: Final = Document(_delete_document, _read_deleted)
LIST_CHUNKS: Final = Document(_list_chunks, _read_chunks)
GET_CHUNK: Final = Document(_get_chunk, same)
ADD_CHUNKS: Final = Document(_add_chunks, same)
UPDATE_CHUNK: Final = Document(_update_chunk, same)
DELETE_CHUNK: Final = Document(_delete_chunk, _read_deleted)
