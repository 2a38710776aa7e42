"""Documents of a library, and their chunks."""

from __future__ import annotations

from typing import Any

from hxp_vector_client._stubs import libraries_pb2 as pb
from hxp_vector_client.grpc_codec.libraries import chunk, long_texts, new_chunks
from hxp_vector_client.grpc_codec.values import given_json, instant, read_json, vector
from hxp_vector_client.requests import Request


def create(request: Request) -> pb.CreateDocumentRequest:
    body = request.body or {}
    return pb.CreateDocumentRequest(
        library_id=request.path["library_id"],
        id=body.get("id") or "",
        title=body.get("title") or "",
        metadata_json=given_json(body.get("metadata")),
        chunks=new_chunks(body.get("chunks") or ()),
        text=body.get("text"),
        chunking_json=given_json(body.get("chunking")),
        long_texts=long_texts(body),
    )


def list_documents(request: Request) -> pb.ListDocumentsRequest:
    query = request.query
    return pb.ListDocumentsRequest(
        library_id=request.path["library_id"], limit=query.get("limit"), cursor=query.get("cursor") or ""
    )


def get(request: Request) -> pb.GetDocumentRequest:
    return pb.GetDocumentRequest(id=_document(request))


def update(request: Request) -> pb.UpdateDocumentRequest:
    body = request.body or {}
    return pb.UpdateDocumentRequest(
        id=_document(request),
        title=body.get("title"),
        metadata_json=given_json(body.get("metadata")),
        chunks=pb.ChunkList(chunks=new_chunks(body["chunks"])) if "chunks" in body else None,
        text=body.get("text"),
        chunking_json=given_json(body.get("chunking")),
        long_texts=long_texts(body),
        if_revision=request.if_match,
    )


def delete(request: Request) -> pb.DeleteDocumentRequest:
    return pb.DeleteDocumentRequest(id=_document(request), if_revision=request.if_match)


def list_chunks(request: Request) -> pb.ListChunksRequest:
    query = request.query
    return pb.ListChunksRequest(
        document_id=_document(request),
        offset=query.get("offset") or 0,
        limit=query.get("limit"),
        include_vectors=query.get("include_embeddings", False),
    )


def add_chunks(request: Request) -> pb.AddChunksRequest:
    body = request.body or {}
    return pb.AddChunksRequest(
        document_id=_document(request),
        chunks=new_chunks(body["chunks"]),
        position=body.get("position"),
        long_texts=long_texts(body),
        if_revision=request.if_match,
    )


def get_chunk(request: Request) -> pb.GetChunkRequest:
    return pb.GetChunkRequest(
        id=_chunk(request), include_vector=request.query.get("include_embedding", False)
    )


def update_chunk(request: Request) -> pb.UpdateChunkRequest:
    body = request.body or {}
    return pb.UpdateChunkRequest(
        id=_chunk(request),
        text=body.get("text"),
        vector=None if body.get("embedding") is None else vector(body["embedding"]),
        metadata_json=given_json(body.get("metadata")),
        long_texts=long_texts(body),
        if_revision=request.if_match,
    )


def delete_chunk(request: Request) -> pb.DeleteChunkRequest:
    return pb.DeleteChunkRequest(id=_chunk(request), if_revision=request.if_match)


def read_written(answer: Any, _: Request) -> dict[str, Any]:
    """Of any answer with a document that was written."""
    written: pb.DocumentWritten = answer.written
    return {
        **_shown(written.document),
        "chunk_ids": list(written.chunk_ids),
        "truncated": list(written.truncated),
        "split": list(written.split),
    }


def read_document(answer: pb.GetDocumentResponse, _: Request) -> dict[str, Any]:
    return _shown(answer.document)


def read_documents(answer: pb.ListDocumentsResponse, _: Request) -> dict[str, Any]:
    return {
        "documents": [_shown(one) for one in answer.documents],
        "next_cursor": answer.next_cursor or None,
    }


def read_chunks(answer: pb.ListChunksResponse, _: Request) -> dict[str, Any]:
    return {
        "document": _shown(answer.document),
        "chunks": [chunk(one) for one in answer.chunks],
        "next_offset": answer.next_offset if answer.HasField("next_offset") else None,
    }


def read_chunk(answer: Any, _: Request) -> dict[str, Any]:
    return chunk(answer.chunk)


def _document(request: Request) -> str:
    return request.path["document_id"]


def _chunk(request: Request) -> str:
    return request.path["chunk_id"]


def _shown(told: pb.Document) -> dict[str, Any]:
    return {
        "id": told.id,
        "library_id": told.library_id,
        "title": told.title,
        "metadata": read_json(told.metadata_json) or {},
        "chunking": read_json(told.chunking_json),
        "chunk_count": told.chunk_count,
        "revision": told.revision,
        "created_at": instant(told.created_at_us),
        "updated_at": instant(told.updated_at_us),
    }
