"""LibraryService: documents and their chunks."""

from __future__ import annotations

from typing import Any

from citadel.vector.v1 import libraries_pb2 as pb
from hanax.gateway.calls import Call
from hanax.gateway.grpc.library_shapes import (
    read_chunks,
    read_revision,
    write_document,
    write_passage,
    write_written,
)
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.grpc.vectors import read_vector
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.pages import cut_page, read_cursor
from hanax.gateway.libraries.requests import ChunkPatch, DocumentPatch, MoreChunks, NewDocument
from hanax.gateway.libraries.room import LibraryRoom, opened_room
from hanax.gateway.list_requests import ChunkPageRequest, PageRequest
from hanax.gateway.requests import parse_request


def document_methods(room: LibraryRoom | None) -> Methods:
    async def create(call: Call, question: pb.CreateDocumentRequest) -> pb.CreateDocumentResponse:
        told = read_message(question, without=("library_id", "chunks"))
        if question.chunks:
            told["chunks"] = read_chunks(question.chunks)
        asked = parse_request(NewDocument, told)
        library = parse_id(question.library_id, "library_id")
        written = await opened_room(room).documents.create(call, library, asked)
        return pb.CreateDocumentResponse(written=write_written(written))

    async def list_all(call: Call, question: pb.ListDocumentsRequest) -> pb.ListDocumentsResponse:
        asked = parse_request(PageRequest, read_message(question, without=("library_id",)))
        library = parse_id(question.library_id, "library_id")
        after = read_cursor(asked.cursor, library)
        found = await opened_room(room).documents.page(call, library, asked.limit + 1, after)
        page, following = cut_page(found, asked.limit, library)
        return pb.ListDocumentsResponse(documents=map(write_document, page), next_cursor=following or "")

    async def get(call: Call, question: pb.GetDocumentRequest) -> pb.GetDocumentResponse:
        document = await opened_room(room).documents.get(call, parse_id(question.id, "document_id"))
        return pb.GetDocumentResponse(document=write_document(document))

    async def update(call: Call, question: pb.UpdateDocumentRequest) -> pb.UpdateDocumentResponse:
        told = read_message(question, without=("id", "chunks", "if_revision"))
        if question.HasField("chunks"):
            told["chunks"] = read_chunks(question.chunks.chunks)
        asked = parse_request(DocumentPatch, told)
        id = parse_id(question.id, "document_id")
        written = await opened_room(room).documents.change(call, id, asked, read_revision(question))
        return pb.UpdateDocumentResponse(written=write_written(written))

    async def delete(call: Call, question: pb.DeleteDocumentRequest) -> pb.DeleteDocumentResponse:
        id = parse_id(question.id, "document_id")
        await opened_room(room).documents.delete(call, id, read_revision(question))
        return pb.DeleteDocumentResponse()

    return {
        "CreateDocument": Unary(pb.CreateDocumentRequest, create, changes=True),
        "ListDocuments": Unary(pb.ListDocumentsRequest, list_all),
        "GetDocument": Unary(pb.GetDocumentRequest, get),
        "UpdateDocument": Unary(pb.UpdateDocumentRequest, update, changes=True),
        "DeleteDocument": Unary(pb.DeleteDocumentRequest, delete, changes=True),
    }


def chunk_methods(room: LibraryRoom | None) -> Methods:
    async def list_all(call: Call, question: pb.ListChunksRequest) -> pb.ListChunksResponse:
        told = read_message(question, without=("document_id", "include_vectors"))
        asked = parse_request(ChunkPageRequest, told)
        id = parse_id(question.document_id, "document_id")
        document, passages = await opened_room(room).documents.passages(
            call, id, asked.offset, asked.limit, question.include_vectors
        )
        after = asked.offset + len(passages)
        return pb.ListChunksResponse(
            document=write_document(document),
            chunks=[write_passage(one, question.include_vectors) for one in passages],
            next_offset=after if passages and after < document.chunks else None,
        )

    async def add(call: Call, question: pb.AddChunksRequest) -> pb.AddChunksResponse:
        told: dict[str, Any] = read_message(question, without=("document_id", "chunks", "if_revision"))
        asked = parse_request(MoreChunks, {**told, "chunks": read_chunks(question.chunks)})
        id = parse_id(question.document_id, "document_id")
        written = await opened_room(room).documents.add(call, id, asked, read_revision(question))
        return pb.AddChunksResponse(written=write_written(written))

    async def get(call: Call, question: pb.GetChunkRequest) -> pb.GetChunkResponse:
        id = parse_id(question.id, "chunk_id")
        passage = await opened_room(room).passages.get(call, id, question.include_vector)
        return pb.GetChunkResponse(chunk=write_passage(passage, question.include_vector))

    async def update(call: Call, question: pb.UpdateChunkRequest) -> pb.UpdateChunkResponse:
        told = read_message(question, without=("id", "vector", "if_revision"))
        if question.HasField("vector"):
            told["embedding"] = read_vector(question.vector, "embedding")
        asked = parse_request(ChunkPatch, told)
        id = parse_id(question.id, "chunk_id")
        passage = await opened_room(room).passages.change(call, id, asked, read_revision(question))
        return pb.UpdateChunkResponse(chunk=write_passage(passage, False))

    async def delete(call: Call, question: pb.DeleteChunkRequest) -> pb.DeleteChunkResponse:
        id = parse_id(question.id, "chunk_id")
        await opened_room(room).passages.delete(call, id, read_revision(question))
        return pb.DeleteChunkResponse()

    return {
        "ListChunks": Unary(pb.ListChunksRequest, list_all),
        "AddChunks": Unary(pb.AddChunksRequest, add, changes=True),
        "GetChunk": Unary(pb.GetChunkRequest, get),
        "UpdateChunk": Unary(pb.UpdateChunkRequest, update, changes=True),
        "DeleteChunk": Unary(pb.DeleteChunkRequest, delete, changes=True),
    }
