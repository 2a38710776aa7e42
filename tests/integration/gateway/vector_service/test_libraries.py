"""LibraryService: what REST does with libraries, documents and chunks."""

from __future__ import annotations

import json
import uuid
from typing import Any

import grpc
import numpy as np
import pytest

from citadel.vector.v1 import libraries_pb2 as pb
from citadel.vector.v1 import vector_pb2
from citadel.vector.v1.libraries_pb2_grpc import LibraryServiceStub
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, refused, vector_of


@pytest.fixture
def libraries(kept_channel: grpc.Channel) -> LibraryServiceStub:
    return LibraryServiceStub(kept_channel)


@pytest.fixture
def library(libraries: LibraryServiceStub) -> str:
    """For vectors of 3 numbers, that can be queried."""
    request = pb.CreateLibraryRequest(
        name=uuid.uuid4().hex,
        model="",
        dimension=3,
        metadata_json=b'{"team": "a"}',
        index=pb.LibraryIndexSpec(type="brute_force"),
    )
    return libraries.CreateLibrary(request, timeout=TIMEOUT_S).library.id


def _rest(stack: Stack, path: str) -> Any:
    answer = stack.client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def _chunk(text: str, row: list[float]) -> pb.NewChunk:
    return pb.NewChunk(text=text, vector=vector_of(row), metadata_json=b'{"source_page": 1}')


def _document(libraries: LibraryServiceStub, library: str, **more: Any) -> pb.DocumentWritten:
    chunks = [_chunk("red fox", [1, 0, 0]), _chunk("blue whale", [0, 1, 0]), _chunk("owl", [0, 0, 1])]
    request = pb.CreateDocumentRequest(
        library_id=library, title="Animals", metadata_json=b'{"year": 2024}', chunks=chunks, **more
    )
    return libraries.CreateDocument(request, timeout=TIMEOUT_S).written


def test_a_library_lives(kept_stack: Stack, libraries: LibraryServiceStub, library: str) -> None:
    told = libraries.GetLibrary(pb.GetLibraryRequest(id=library), timeout=TIMEOUT_S)
    over_rest = _rest(kept_stack, f"libraries/{library}")
    one = told.library
    assert (one.name, one.dimension, one.model, one.index_type, one.revision) == (
        over_rest["name"],
        3,
        "",
        "brute_force",
        over_rest["revision"],
    )
    assert json.loads(one.metadata_json) == over_rest["metadata"] == {"team": "a"}
    assert (one.metric, told.document_count) == (vector_pb2.METRIC_COSINE, 0)

    changed = libraries.UpdateLibrary(
        pb.UpdateLibraryRequest(
            id=library, metadata_json=b'{"team": null, "new": 1}', if_revision=one.revision
        ),
        timeout=TIMEOUT_S,
    ).library
    assert (json.loads(changed.metadata_json), changed.name) == ({"new": 1}, one.name)
    with refused() as errors:
        libraries.DeleteLibrary(
            pb.DeleteLibraryRequest(id=library, if_revision=one.revision), timeout=TIMEOUT_S
        )
    assert errors[0].code == "revision_conflict"
    libraries.DeleteLibrary(pb.DeleteLibraryRequest(id=library), timeout=TIMEOUT_S)
    with refused() as errors:
        libraries.GetLibrary(pb.GetLibraryRequest(id=library), timeout=TIMEOUT_S)
    assert errors[0].code == "library_not_found"


def test_pages_of_libraries_and_documents(libraries: LibraryServiceStub, library: str) -> None:
    ids = [_document(libraries, library).document.id for _ in range(3)]
    found: list[str] = []
    request = pb.ListDocumentsRequest(library_id=library, limit=2)
    while True:
        page = libraries.ListDocuments(request, timeout=TIMEOUT_S)
        found += [one.id for one in page.documents]
        if not page.next_cursor:
            break
        request.cursor = page.next_cursor
    assert sorted(found) == sorted(ids)

    first = libraries.ListLibraries(pb.ListLibrariesRequest(limit=1), timeout=TIMEOUT_S)
    assert len(first.libraries) == 1
    with refused() as errors:
        libraries.ListLibraries(pb.ListLibrariesRequest(cursor="x"), timeout=TIMEOUT_S)
    assert errors[0].code == "invalid_cursor"


def test_a_document_lives(kept_stack: Stack, libraries: LibraryServiceStub, library: str) -> None:
    written = _document(libraries, library)
    id_ = written.document.id
    over_rest = _rest(kept_stack, f"documents/{id_}")
    document = libraries.GetDocument(pb.GetDocumentRequest(id=id_), timeout=TIMEOUT_S).document
    assert document == written.document
    assert (document.title, document.chunk_count, document.revision) == (
        over_rest["title"],
        over_rest["chunk_count"],
        over_rest["revision"],
    )
    chunks = libraries.ListChunks(
        pb.ListChunksRequest(document_id=id_, limit=2, include_vectors=True), timeout=TIMEOUT_S
    )
    assert [chunk.text for chunk in chunks.chunks] == ["red fox", "blue whale"]
    assert [chunk.id for chunk in chunks.chunks] == list(written.chunk_ids)[:2]
    assert np.frombuffer(chunks.chunks[1].vector.float32_le, "<f4").tolist() == [0, 1, 0]
    assert chunks.next_offset == 2

    added = libraries.AddChunks(
        pb.AddChunksRequest(document_id=id_, chunks=[_chunk("mouse", [1, 1, 0])], position=0),
        timeout=TIMEOUT_S,
    ).written
    assert added.document.chunk_count == 4
    libraries.UpdateDocument(
        pb.UpdateDocumentRequest(id=id_, title="Beasts", chunks=pb.ChunkList()), timeout=TIMEOUT_S
    )
    over_rest = _rest(kept_stack, f"documents/{id_}")
    assert (over_rest["title"], over_rest["chunk_count"]) == ("Beasts", 0)
    libraries.DeleteDocument(pb.DeleteDocumentRequest(id=id_), timeout=TIMEOUT_S)
    with refused() as errors:
        libraries.GetDocument(pb.GetDocumentRequest(id=id_), timeout=TIMEOUT_S)
    assert errors[0].code == "document_not_found"


def test_a_chunk_lives(kept_stack: Stack, libraries: LibraryServiceStub, library: str) -> None:
    written = _document(libraries, library)
    id_ = written.chunk_ids[0]
    changed = libraries.UpdateChunk(
        pb.UpdateChunkRequest(
            id=id_, text="grey wolf", vector=vector_of([0, 0.6, 0.8]), metadata_json=b'{"seen": true}'
        ),
        timeout=TIMEOUT_S,
    ).chunk
    told = libraries.GetChunk(pb.GetChunkRequest(id=id_, include_vector=True), timeout=TIMEOUT_S).chunk
    over_rest = _rest(kept_stack, f"chunks/{id_}?include_embeddings=true")
    assert (told.text, told.revision) == ("grey wolf", changed.revision)
    assert json.loads(told.metadata_json) == over_rest["metadata"] == {"source_page": 1, "seen": True}
    assert np.frombuffer(told.vector.float32_le, "<f4").tolist() == pytest.approx([0, 0.6, 0.8])
    libraries.DeleteChunk(pb.DeleteChunkRequest(id=id_), timeout=TIMEOUT_S)
    with refused() as errors:
        libraries.GetChunk(pb.GetChunkRequest(id=id_), timeout=TIMEOUT_S)
    assert errors[0].code == "chunk_not_found"


def test_queries_and_indexes(kept_stack: Stack, libraries: LibraryServiceStub, library: str) -> None:
    _document(libraries, library)
    body = {
        "embedding": [1, 0.5, 0],
        "k": 2,
        "filter": {"field": "document.metadata.year", "operator": "eq", "value": 2024},
        "include_embeddings": True,
        "rerank": {"type": "mmr", "diversity": 0.1},
    }
    over_rest = kept_stack.post(f"/api/v1/libraries/{library}/query", body).json()
    found = libraries.QueryLibrary(
        pb.QueryLibraryRequest(
            id=library,
            vector=vector_of([1, 0.5, 0]),
            k=2,
            filter_json=json.dumps(body["filter"]).encode(),
            include_vectors=True,
            rerank_json=json.dumps(body["rerank"]).encode(),
            steps_json=b'{"retrieve": {"retries": 2}}',
        ),
        timeout=TIMEOUT_S,
    )
    assert [(one.chunk.text, one.score) for one in found.results] == [
        (one["text"], one["score"]) for one in over_rest["results"]
    ]
    assert [json.loads(one.document_json) for one in found.results] == [
        one["document"] for one in over_rest["results"]
    ]
    assert len(found.results[0].chunk.vector.float32_le) == 12
    assert [step.step for step in found.steps] == [step["step"] for step in over_rest["steps"]]

    index = libraries.BuildIndex(
        pb.BuildIndexRequest(
            id=library, index=pb.LibraryIndexSpec(type="hnsw", parameters_json=b'{"m": 8}', target_recall=0.9)
        ),
        timeout=TIMEOUT_S,
    ).index
    assert (index.type, json.loads(index.parameters_json)["m"], index.target_recall) == ("hnsw", 8, 0.9)
    again = libraries.GetIndex(pb.GetIndexRequest(id=library), timeout=TIMEOUT_S).index
    assert again.type == _rest(kept_stack, f"libraries/{library}/index")["type"] == "hnsw"


def test_texts_are_divided_and_embedded(kept_stack: Stack, libraries: LibraryServiceStub) -> None:
    made = libraries.CreateLibrary(
        pb.CreateLibraryRequest(name=uuid.uuid4().hex, index=pb.LibraryIndexSpec()), timeout=TIMEOUT_S
    ).library
    assert (made.model, made.dimension) == ("hash-384", 384)
    written = libraries.CreateDocument(
        pb.CreateDocumentRequest(
            library_id=made.id, text="# One\n\nred fox\n\n# Two\n\nowl", chunking_json=b'{"type": "headings"}'
        ),
        timeout=TIMEOUT_S,
    ).written
    assert len(written.chunk_ids) == 2
    found = libraries.QueryLibrary(pb.QueryLibraryRequest(id=made.id, text="owl", k=1), timeout=TIMEOUT_S)
    (result,) = found.results
    assert (result.chunk.text, list(result.chunk.headings)) == ("# Two\n\nowl", ["Two"])
    chunk = libraries.GetChunk(pb.GetChunkRequest(id=result.chunk.id), timeout=TIMEOUT_S).chunk
    assert json.loads(chunk.provenance_json)["model"] == "hash-384"


BAD: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("CreateLibrary", "libraries", {}, {}),
    ("CreateLibrary", "libraries", {"name": "x" * 300}, {"name": "x" * 300}),
    ("CreateLibrary", "libraries", {"name": "a", "model": ""}, {"name": "a", "model": None}),
    ("CreateLibrary", "libraries", {"name": "a", "dimension": 9_000}, {"name": "a", "dimension": 9_000}),
    (
        "CreateLibrary",
        "libraries",
        {"name": "a", "metadata_json": b"[]"},
        {"name": "a", "metadata": []},
    ),
    ("QueryLibrary", "libraries/{id}/query", {}, {}),
    ("QueryLibrary", "libraries/{id}/query", {"k": 0}, {"k": 0}),
    ("QueryLibrary", "libraries/{id}/query", {"text": "a"}, {"text": "a"}),
    (
        "QueryLibrary",
        "libraries/{id}/query",
        {"vector": vector_of([1, 0])},
        {"embedding": [1, 0]},
    ),
    (
        "QueryLibrary",
        "libraries/{id}/query",
        {"vector": vector_of([1, 0, 0]), "rerank_json": b'{"type": "magic"}'},
        {"embedding": [1, 0, 0], "rerank": {"type": "magic"}},
    ),
    (
        "CreateDocument",
        "libraries/{id}/documents",
        {"chunks": [pb.NewChunk(text="")]},
        {"chunks": [{"text": ""}]},
    ),
    (
        "CreateDocument",
        "libraries/{id}/documents",
        {"chunks": [pb.NewChunk(text="a", vector=vector_of([1]))]},
        {"chunks": [{"text": "a", "embedding": [1]}]},
    ),
    (
        "CreateDocument",
        "libraries/{id}/documents",
        {"text": "a", "chunking_json": b'{"type": "tokens", "size": 0}'},
        {"text": "a", "chunking": {"type": "tokens", "size": 0}},
    ),
]


@pytest.mark.parametrize(("method", "path", "fields", "body"), BAD, ids=range(len(BAD)))
def test_a_mistake_is_the_same_over_rest(
    kept_stack: Stack,
    libraries: LibraryServiceStub,
    library: str,
    method: str,
    path: str,
    fields: dict[str, Any],
    body: dict[str, Any],
) -> None:
    over_rest = kept_stack.post(f"/api/v1/{path.format(id=library)}", body).json()["error"]
    place = {"QueryLibrary": {"id": library}, "CreateDocument": {"library_id": library}}.get(method, {})
    request = getattr(pb, f"{method}Request")(**place, **fields)
    with refused() as errors:
        getattr(libraries, method)(request, timeout=TIMEOUT_S)
    assert (errors[0].code, errors[0].message) == (over_rest["code"], over_rest["message"])


def test_ids_that_are_none(libraries: LibraryServiceStub) -> None:
    with refused() as errors:
        libraries.GetLibrary(pb.GetLibraryRequest(id="x"), timeout=TIMEOUT_S)
    assert errors[0].code == "invalid_id"
    assert errors[0].message.startswith("library_id: expected a UUID")
    with refused() as errors:
        libraries.GetChunk(pb.GetChunkRequest(id=uuid.uuid4().hex), timeout=TIMEOUT_S)
    assert errors[0].code == "chunk_not_found"


def test_without_a_database_the_error_says_so(stack: Stack) -> None:
    with grpc.insecure_channel(stack.gateway.grpc_address) as channel, refused() as errors:
        LibraryServiceStub(channel).ListLibraries(pb.ListLibrariesRequest(), timeout=TIMEOUT_S)
    assert errors[0].code == "database_not_configured"
