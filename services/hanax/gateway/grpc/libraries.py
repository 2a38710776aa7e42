"""LibraryService: libraries, their indexes, and queries."""

from __future__ import annotations

from typing import Any

from citadel.vector.v1 import libraries_pb2 as pb
from hanax.gateway.calls import Call
from hanax.gateway.grpc.library_shapes import (
    read_revision,
    write_index,
    write_library,
    write_result,
    write_step,
)
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.grpc.vectors import read_vector
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.pages import cut_page, read_cursor
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.libraries.requests import IndexRequest, LibraryPatch, NewLibrary
from hanax.gateway.libraries.room import LibraryRoom, opened_room
from hanax.gateway.list_requests import PageRequest
from hanax.gateway.requests import parse_request


def library_methods(room: LibraryRoom | None) -> Methods:
    return {**_libraries(room), **_searching(room)}


def _libraries(room: LibraryRoom | None) -> Methods:
    async def create(call: Call, question: pb.CreateLibraryRequest) -> pb.CreateLibraryResponse:
        told = read_message(question)
        if told.get("model") == "":
            told["model"] = None
        asked = parse_request(NewLibrary, told)
        return pb.CreateLibraryResponse(
            library=write_library(await opened_room(room).libraries.create(call, asked))
        )

    async def list_all(call: Call, question: pb.ListLibrariesRequest) -> pb.ListLibrariesResponse:
        asked = parse_request(PageRequest, read_message(question))
        found = await opened_room(room).libraries.page(call, asked.limit + 1, read_cursor(asked.cursor))
        page, following = cut_page(found, asked.limit)
        return pb.ListLibrariesResponse(libraries=map(write_library, page), next_cursor=following or "")

    async def get(call: Call, question: pb.GetLibraryRequest) -> pb.GetLibraryResponse:
        found = await opened_room(room).libraries.get(call, _id(question))
        return pb.GetLibraryResponse(library=write_library(found.library), document_count=found.documents)

    async def update(call: Call, question: pb.UpdateLibraryRequest) -> pb.UpdateLibraryResponse:
        asked = parse_request(LibraryPatch, read_message(question, without=("id", "if_revision")))
        library = await opened_room(room).libraries.change(
            call, _id(question), asked, read_revision(question)
        )
        return pb.UpdateLibraryResponse(library=write_library(library))

    async def delete(call: Call, question: pb.DeleteLibraryRequest) -> pb.DeleteLibraryResponse:
        await opened_room(room).libraries.delete(call, _id(question), read_revision(question))
        return pb.DeleteLibraryResponse()

    return {
        "CreateLibrary": Unary(pb.CreateLibraryRequest, create, changes=True),
        "ListLibraries": Unary(pb.ListLibrariesRequest, list_all),
        "GetLibrary": Unary(pb.GetLibraryRequest, get),
        "UpdateLibrary": Unary(pb.UpdateLibraryRequest, update, changes=True),
        "DeleteLibrary": Unary(pb.DeleteLibraryRequest, delete, changes=True),
    }


def _searching(room: LibraryRoom | None) -> Methods:
    async def build(call: Call, question: pb.BuildIndexRequest) -> pb.BuildIndexResponse:
        asked = parse_request(IndexRequest, read_message(question.index))
        status = await opened_room(room).indexes.build(call, _id(question), asked)
        return pb.BuildIndexResponse(index=write_index(status))

    async def index(call: Call, question: pb.GetIndexRequest) -> pb.GetIndexResponse:
        status = await opened_room(room).indexes.status(call, _id(question))
        return pb.GetIndexResponse(index=write_index(status))

    async def query(call: Call, question: pb.QueryLibraryRequest) -> pb.QueryLibraryResponse:
        asked = parse_request(QueryRequest, _query(question))
        found = await opened_room(room).queries.query(call, _id(question), asked)
        return pb.QueryLibraryResponse(
            results=[write_result(result, asked.include_embeddings) for result in found.results],
            truncated=found.truncated,
            steps=map(write_step, found.steps),
        )

    return {
        "BuildIndex": Unary(pb.BuildIndexRequest, build, changes=True),
        "GetIndex": Unary(pb.GetIndexRequest, index),
        "QueryLibrary": Unary(pb.QueryLibraryRequest, query),
    }


def _query(question: pb.QueryLibraryRequest) -> dict[str, Any]:
    told = read_message(question, without=("id", "vector", "include_vectors"))
    told["include_embeddings"] = question.include_vectors
    if question.HasField("vector"):
        told["embedding"] = read_vector(question.vector, "embedding")
    return told


def _id(question: Any) -> str:
    """Raises InvalidId."""
    return parse_id(question.id, "library_id")
