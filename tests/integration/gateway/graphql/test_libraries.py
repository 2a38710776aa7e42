"""Libraries, documents and chunks; and that what is asked of many is one question."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.gateway.graphql.client import ask, refusal, send
from tests.integration.gateway.stack import Stack

CREATE = "mutation ($input: LibraryInput!) { createLibrary(input: $input) { id revision documentCount } }"
DOCUMENT = """mutation ($library: ID!, $input: DocumentInput!) {
  createDocument(libraryId: $library, input: $input) { id chunkIds revision }
}"""
LIBRARIES = 3
DOCUMENTS = 4


@pytest.fixture(scope="module")
def shelves(graph: Stack) -> Iterator[list[str]]:
    """Libraries with documents of two chunks each."""
    ids = []
    for number in range(LIBRARIES):
        library = {"name": f"shelf {number}", "model": None, "dimension": 2, "index": {"type": "auto"}}
        ids.append(ask(graph, CREATE, input=library)["createLibrary"]["id"])
        for title in range(DOCUMENTS):
            chunks = [{"text": f"chunk {n} of {title}", "embedding": [1, n]} for n in range(2)]
            ask(graph, DOCUMENT, library=ids[-1], input={"title": f"t{title}", "chunks": chunks})
    yield ids
    for id in ids:
        ask(graph, "mutation ($id: ID!) { deleteLibrary(id: $id) }", id=id)


def parts(graph: Stack) -> dict[str, float]:
    """How often each field has asked a service object."""
    start = 'vector_db_requests_total{method="GraphQL '
    told: dict[str, float] = {}
    for line in graph.client.get("/metrics").text.splitlines():
        if line.startswith(start):
            name = line[len(start) :].partition('"')[0]
            told[name] = told.get(name, 0) + float(line.rpartition(" ")[2])
    return told


def test_documents_and_chunks_of_all_libraries_are_one_question_each(
    graph: Stack, shelves: list[str]
) -> None:
    before = parts(graph)
    data = ask(
        graph,
        """{ libraries(limit: 3) { libraries { id documentCount documents(limit: 3) {
          nextCursor documents { id title chunks(limit: 5) { nextOffset document { revision }
            chunks { text position embedding } } } } } } }""",
    )
    asked = {name: count - before.get(name, 0) for name, count in parts(graph).items()}
    assert {name: count for name, count in asked.items() if count} == {
        "libraries": 1,
        "Library.documentCount": 1,
        "Library.documents": 1,
        "Document.chunks": 1,
    }
    found = data["libraries"]["libraries"]
    assert [library["id"] for library in found] == shelves[::-1]
    for library in found:
        assert library["documentCount"] == DOCUMENTS
        documents = library["documents"]["documents"]
        assert [document["title"] for document in documents] == ["t3", "t2", "t1"]
        assert library["documents"]["nextCursor"] is not None
        for document in documents:
            page = document["chunks"]
            assert [chunk["text"] for chunk in page["chunks"]] == [
                f"chunk {n} of {document['title'][1:]}" for n in range(2)
            ]
            assert [chunk["embedding"] for chunk in page["chunks"]] == [[1.0, 0.0], [1.0, 1.0]]
            assert page["nextOffset"] is None


def test_libraries_by_their_ids_are_one_question_and_each_may_be_missing(
    graph: Stack, shelves: list[str]
) -> None:
    before = parts(graph)
    query = "query ($a: ID!, $b: ID!, $c: ID!) { a: library(id: $a) { name } b: library(id: $b) { name } "
    body = send(
        graph, query + "c: library(id: $c) { name } }", a=shelves[0], b=str(uuid.uuid4()), c=shelves[1]
    )
    assert parts(graph)["Library"] - before.get("Library", 0) == 1
    assert body["data"] == {"a": {"name": "shelf 0"}, "b": None, "c": {"name": "shelf 1"}}
    (error,) = body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["b"], "library_not_found")


def test_collections_that_are_named_twice_are_described_once(graph: Stack) -> None:
    before = parts(graph)
    ask(
        graph,
        """{ a: collection(name: "docs") { points } b: collection(name: "docs") { indexTotals { settled } }
             collections { collections { name points shardStates { state } } } }""",
    )
    listed = graph.data(graph.client.get("/api/v1/collections"))["collections"]
    assert parts(graph)["Collection"] - before.get("Collection", 0) == len(listed)


def test_pages_of_documents_and_chunks_cover_all(graph: Stack, shelves: list[str]) -> None:
    query = """query ($id: ID!, $cursor: String) { library(id: $id) {
      documents(limit: 3, cursor: $cursor) { nextCursor documents { title chunks(offset: 1, limit: 1) {
        chunks { position } nextOffset } } } } }"""
    titles, cursor = [], None
    for _ in range(2):
        page = ask(graph, query, id=shelves[0], cursor=cursor)["library"]["documents"]
        titles += [document["title"] for document in page["documents"]]
        cursor = page["nextCursor"]
        assert [document["chunks"]["chunks"] for document in page["documents"]] == [
            [{"position": 1}] for _ in page["documents"]
        ]
    assert (titles, cursor) == (["t3", "t2", "t1", "t0"], None)
    foreign = refusal(graph, query, id=shelves[1], cursor="bm90IG9uZQ")
    assert foreign["code"] == "invalid_cursor"


def test_a_library_is_queried_and_its_chunks_are_read(graph: Stack, shelves: list[str]) -> None:
    query = """query ($id: ID!) { library(id: $id) {
      index { type state }
      query(input: {embedding: [1, 0], k: 2}) {
        results { id score text document { title } } truncated steps { step outcome }
      }
    } }"""
    library: dict[str, Any] = ask(graph, query, id=shelves[0])["library"]
    assert library["index"]["type"] == "auto"
    hits = library["query"]["results"]
    assert [round(hit["score"], 3) for hit in hits] == [1, 1]
    assert {hit["text"][:7] for hit in hits} == {"chunk 0"}
    read = ask(
        graph, "query ($id: ID!) { chunk(id: $id) { text embedding provenance { model } } }", id=hits[0]["id"]
    )
    assert read["chunk"] == {"text": hits[0]["text"], "embedding": [1.0, 0.0], "provenance": None}


def test_a_document_is_changed_where_it_has_the_revision(graph: Stack, shelves: list[str]) -> None:
    made = ask(graph, DOCUMENT, library=shelves[2], input={"title": "new"})["createDocument"]
    change = """mutation ($id: ID!, $revision: Int) {
      updateDocument(id: $id, input: {title: "newer"}, ifRevision: $revision) { title revision }
    }"""
    refused = refusal(graph, change, id=made["id"], revision=7)
    assert (refused["code"], refused["http_status"]) == ("revision_conflict", 412)
    changed = ask(graph, change, id=made["id"], revision=made["revision"])["updateDocument"]
    assert changed == {"title": "newer", "revision": made["revision"] + 1}
    assert ask(graph, "query ($id: ID!) { document(id: $id) { title } }", id=made["id"]) == {
        "document": {"title": "newer"}
    }
    assert ask(graph, "mutation ($id: ID!) { deleteDocument(id: $id) }", id=made["id"]) == {
        "deleteDocument": True
    }
    gone = refusal(graph, "query ($id: ID!) { document(id: $id) { title } }", id=made["id"])
    assert gone["code"] == "document_not_found"
