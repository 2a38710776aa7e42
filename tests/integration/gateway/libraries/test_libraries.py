"""Libraries, documents and chunks over REST: made, read, changed, removed, and what each refusal is."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.gateway.libraries.conftest import Api
from tests.integration.waiting import wait_until

V = [1.0, 0.0, 0.0]


def test_a_library_is_made_read_changed_and_removed(api: Api) -> None:
    name = uuid.uuid4().hex
    answer = api.client.post("/api/v1/libraries", json={"name": name, "metadata": {"a": 1, "b": 2}})
    assert answer.status_code == 201
    made = answer.json()
    path = answer.headers["Location"]
    assert path == f"/api/v1/libraries/{made['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert (made["model"], made["dimension"], made["index_type"]) == ("hash-384", 384, None)
    assert api.ask("GET", path) == {**made, "document_count": 0}
    changed = api.ask("PATCH", path, {"metadata": {"a": None, "c": 3}}, if_match='"1"')
    assert changed["metadata"] == {"b": 2, "c": 3}
    assert changed["revision"] == 2
    assert changed["name"] == name
    assert api.refused("PATCH", path, {"name": "x"}, 412, if_match='"1"')["code"] == "revision_conflict"
    assert api.refused("DELETE", path, None, 412, if_match="1")["code"] == "revision_conflict"
    assert api.ask("DELETE", path, status=204, if_match='"2"') is None
    assert api.refused("GET", path, None, 404)["type"] == "LibraryNotFound"
    assert api.refused("DELETE", path, None, 404)["code"] == "library_not_found"
    collection = "library-" + made["id"].replace("-", "")

    def gone() -> bool:
        return api.client.get(f"/api/v1/collections/{collection}").status_code == 404

    wait_until("its collection is gone", gone)
    # The name is free at once.
    api.library(name=name)


def test_the_paths_without_a_version_are_the_same(api: Api) -> None:
    made = api.client.post("/libraries", json={"name": uuid.uuid4().hex, "model": None, "dimension": 2})
    assert made.headers["Location"] == f"/libraries/{made.json()['id']}"
    document = api.client.post(made.headers["Location"] + "/documents", json={"title": "t"})
    assert document.headers["Location"] == f"/documents/{document.json()['id']}"
    assert api.ask("GET", document.headers["Location"])["chunk_count"] == 0
    assert api.refused("GET", f"/chunks/{uuid.uuid4()}", None, 404)["code"] == "chunk_not_found"


def test_lists_come_in_pages_the_newest_first(api: Api) -> None:
    library = api.vectors()
    made = [api.document(library, title=str(number))["id"] for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = api.ask("GET", f"/api/v1/libraries/{library}/documents?limit=2{cursor}")
        seen += [document["id"] for document in page["documents"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]
    other = api.vectors()
    path = f"/api/v1/libraries/{other}/documents?limit=2{cursor}"
    assert api.refused("GET", path, None, 422)["code"] == "invalid_cursor"
    libraries = api.ask("GET", "/api/v1/libraries?limit=1")
    assert libraries["libraries"][0]["id"] == other
    following = api.ask("GET", f"/api/v1/libraries?limit=1&cursor={libraries['next_cursor']}")
    assert following["libraries"][0]["id"] == library


def test_a_document_is_made_read_changed_and_removed(api: Api) -> None:
    library = api.vectors()
    id = str(uuid.uuid4())
    chunks = [
        {"text": f"passage {n}", "embedding": V, "metadata": {"source_page": n, "language": "en"}}
        for n in range(3)
    ]
    made = api.document(library, id=id, title="Title", metadata={"year": 2024}, chunks=chunks)
    assert made["id"] == id
    assert made["chunk_count"] == len(made["chunk_ids"]) == 3
    path = f"/api/v1/documents/{id}"
    assert (
        api.refused("POST", f"/api/v1/libraries/{library}/documents", {"id": id}, 409)["code"]
        == "document_exists"
    )
    found = api.chunks(id, "?offset=1&limit=1&include_embeddings=true")
    assert [(one["text"], one["position"], one["metadata"]) for one in found] == [
        ("passage 1", 1, {"source_page": 1, "language": "en"})
    ]
    assert found[0]["embedding"] == V
    assert found[0]["provenance"] is None
    changed = api.ask("PATCH", path, {"title": "Other", "metadata": {"year": None, "kind": "b"}})
    assert (changed["title"], changed["metadata"], changed["revision"]) == ("Other", {"kind": "b"}, 2)
    assert [one["id"] for one in api.chunks(id)] == made["chunk_ids"]
    kept = {"id": made["chunk_ids"][1], "text": "kept", "embedding": V}
    changed = api.ask("PATCH", path, {"chunks": [kept, {"text": "new", "embedding": V}]}, if_match='"2"')
    first, second = api.chunks(id)
    assert (first["id"], first["text"], first["revision"]) == (made["chunk_ids"][1], "kept", 2)
    assert first["created_at"] == made["created_at"] < first["updated_at"]
    assert (second["text"], second["position"]) == ("new", 1)
    added = api.ask(
        "POST", f"{path}/chunks", {"chunks": [{"text": "between", "embedding": V}], "position": 1}, 201
    )
    assert added["revision"] == 4
    assert [one["text"] for one in api.chunks(id)] == ["kept", "between", "new"]
    assert api.points(library) == 3
    api.ask("DELETE", path, status=204)
    assert api.refused("GET", path, None, 404)["code"] == "document_not_found"
    assert api.refused("GET", f"/api/v1/chunks/{first['id']}", None, 404)["code"] == "chunk_not_found"
    assert api.points(library) == 0


def test_a_chunk_is_read_changed_and_removed(api: Api) -> None:
    library = api.library(index={"type": "auto"})
    made = api.document(library, chunks=[{"text": "alpha beta", "metadata": {"a": 1}}, {"text": "gamma"}])
    first, second = made["chunk_ids"]
    path = f"/api/v1/chunks/{first}"
    chunk = api.ask("GET", path + "?include_embedding=true")
    assert chunk["provenance"]["model"] == "hash-384"
    changed = api.ask("PATCH", path, {"metadata": {"a": None, "b": 2}}, if_match='"1"')
    assert (changed["text"], changed["metadata"], changed["revision"]) == ("alpha beta", {"b": 2}, 2)
    again = api.ask("GET", path + "?include_embedding=true")
    assert again["embedding"] == chunk["embedding"]
    assert again["provenance"] == chunk["provenance"]
    assert api.refused("PATCH", path, {"text": "x"}, 412, if_match='"1"')["details"]["found"] == 2
    api.ask("PATCH", path, {"text": "delta"})
    assert api.ask("GET", path + "?include_embedding=true")["embedding"] != chunk["embedding"]
    assert api.query(library, text="delta", k=1)["results"][0]["id"] == first
    api.ask("PATCH", path, {"embedding": [1.0] + [0.0] * 383})
    assert api.ask("GET", path)["provenance"] is None
    api.ask("DELETE", path, status=204)
    assert [(one["id"], one["position"]) for one in api.chunks(made["id"])] == [(second, 0)]
    assert api.ask("GET", f"/api/v1/documents/{made['id']}")["revision"] == 5


def test_a_raw_text_is_divided_by_its_rule(api: Api) -> None:
    library = api.library()
    text = "# Guide\n\nRead this first. Then that.\n\n## Install\n\nRun it."
    made = api.document(library, text=text, chunking={"type": "headings"})
    chunks = api.chunks(made["id"])
    assert [one["headings"] for one in chunks] == [["Guide"], ["Guide", "Install"]]
    assert all(text[one["start"] : one["end"]] == one["text"] for one in chunks)
    assert made["chunking"] == {"type": "headings", "size": 200, "overlap": 0, "levels": 6}
    changed = api.ask(
        "PATCH",
        f"/api/v1/documents/{made['id']}",
        {"text": "one two three", "chunking": {"type": "tokens", "size": 2, "overlap": 1}},
    )
    assert [one["text"] for one in api.chunks(made["id"])] == ["one two", "two three"]
    assert changed["chunk_count"] == 2


def test_a_library_of_which_no_index_was_asked_for_cannot_be_queried(api: Api) -> None:
    library = api.library()
    api.document(library, chunks=[{"text": "checksum of a file"}, {"text": "bread"}])
    path = f"/api/v1/libraries/{library}"
    assert api.ask("GET", f"{path}/index")["state"] == "not_built"
    assert api.refused("POST", f"{path}/query", {"text": "checksum"}, 412)["code"] == "index_not_built"
    status = api.ask("POST", f"{path}/index", {"type": "hnsw", "parameters": {"m": 24}}, 202)
    assert status["type"] == "hnsw"
    assert status["parameters"]["m"] == 24
    wait_until("it is built", lambda: api.ask("GET", f"{path}/index")["state"] == "built")
    assert api.query(library, text="checksum", k=1)["results"][0]["text"] == "checksum of a file"
    assert api.ask("GET", path)["index_type"] == "hnsw"


@pytest.mark.parametrize("type", ["brute_force", "kd_tree", "lsh", "ivf", "hnsw", "auto"])
def test_every_type_of_index_answers(api: Api, type: str) -> None:
    library = api.library(model=None, dimension=3, index={"type": type})
    api.document(library, chunks=[{"text": "x", "embedding": V}, {"text": "y", "embedding": [0.0, 1.0, 0.0]}])
    found = api.query(library, embedding=[0.9, 0.1, 0.0], k=1)["results"]
    assert [one["text"] for one in found] == ["x"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_argument"),
        ({"name": " "}, 422, "invalid_argument"),
        ({"name": "a\x00b"}, 422, "invalid_argument"),
        ({"name": "a", "id": "7"}, 422, "invalid_id"),
        ({"name": "a", "model": None}, 422, "invalid_argument"),
        ({"name": "a", "model": "none-such"}, 404, "model_not_found"),
        ({"name": "a", "dimension": 3}, 409, "model_conflict"),
        ({"name": "a", "index": {"type": "b-tree"}}, 422, "invalid_argument"),
        ({"name": "a", "index": {"type": "hnsw", "parameters": {"lists": 3}}}, 422, "invalid_argument"),
        ({"name": "a", "index": {"type": "hnsw", "parameters": []}}, 422, "invalid_argument"),
        (
            {"name": "a", "model": None, "dimension": 3, "metric": "dot", "index": {"type": "kd_tree"}},
            422,
            "invalid_argument",
        ),
        ({"name": "a", "metadata": {"x": "y" * 9_000}}, 422, "metadata_too_large"),
        ({"name": "a", "metadata": []}, 422, "invalid_metadata"),
        ({"name": "a", "extra": 1}, 422, "invalid_argument"),
    ],
)
def test_a_library_that_cannot_be_is_refused(api: Api, body: Any, status: int, code: str) -> None:
    before = api.ask("GET", "/api/v1/libraries?limit=1")["libraries"]
    told = api.refused("POST", "/api/v1/libraries", body, status)
    assert told["code"] == code
    # Of a collection that nobody named nothing is said.
    assert "library-" not in told["message"]
    assert api.ask("GET", "/api/v1/libraries?limit=1")["libraries"] == before


CHUNK = {"text": "fine", "embedding": V}


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({"chunks": [CHUNK, {"text": "x", "embedding": [1.0]}]}, "dimension_mismatch", "chunks[1].embedding"),
        (
            {"chunks": [CHUNK, {"text": "x", "embedding": [0.0, 0.0, 0.0]}]},
            "zero_vector",
            "chunks[1].embedding",
        ),
        ({"chunks": [{"text": "x", "embedding": ["1", 2, 3]}]}, "invalid_argument", "chunks[0].embedding[0]"),
        ({"chunks": [CHUNK, {"text": "no embedding"}]}, "failed_precondition", "chunks[1].embedding"),
        ({"chunks": [{"text": "", "embedding": V}]}, "invalid_text", "chunks[0].text"),
        ({"chunks": [{"text": "x" * 10_001, "embedding": V}]}, "text_too_long", "chunks[0].text"),
        ({"chunks": [{"embedding": V}]}, "invalid_text", "chunks[0].text"),
        ({"chunks": [{**CHUNK, "metadata": {"source_page": -1}}]}, "invalid_metadata", "source_page"),
        ({"chunks": [{**CHUNK, "metadata": {"language": 7}}]}, "invalid_metadata", "language"),
        ({"chunks": [{**CHUNK, "metadata": {"language": "not a lang"}}]}, "invalid_metadata", "'not a lang'"),
        ({"chunks": [{**CHUNK, "metadata": "x"}]}, "invalid_metadata", "chunks[0].metadata"),
        ({"chunks": [CHUNK, {**CHUNK, "metadata": []}]}, "invalid_metadata", "chunks[1].metadata"),
        ({"chunks": [{**CHUNK, "metadata": False}]}, "invalid_metadata", "got false"),
        ({"chunks": [{**CHUNK, "vector": V}]}, "invalid_argument", "chunks[0]: unknown key"),
        ({"chunks": [{**CHUNK, "id": "7"}]}, "invalid_id", "chunks[0].id"),
        ({"chunks": ["x"]}, "invalid_argument", "chunks[0]"),
        ({"chunks": {}}, "invalid_argument", "chunks"),
        ({"chunks": [CHUNK] * 2_001}, "invalid_argument", "2000 chunks"),
        ({"chunks": [{**CHUNK, "id": str(uuid.UUID(int=5))}] * 2}, "duplicate_id", "chunks[1].id"),
        ({"chunks": [CHUNK], "text": "both"}, "invalid_argument", "both"),
        ({"chunks": [], "chunking": {"type": "tokens"}}, "invalid_argument", "chunking"),
        ({"text": "  "}, "invalid_text", "text"),
        ({"text": "x" * 2_000_001}, "text_too_long", "text: at most 2000000 characters, got 2000001"),
        ({"text": "x", "chunking": {"type": "pages"}}, "invalid_argument", "chunking.type"),
        (
            {"text": "x", "chunking": {"type": "tokens", "size": 10, "overlap": 6}},
            "invalid_argument",
            "overlap",
        ),
        (
            {"text": "a " * 5_000, "chunking": {"type": "tokens", "size": 1, "overlap": 0}},
            "invalid_argument",
            "2000 chunks",
        ),
        ({"title": "x" * 1_001}, "invalid_argument", "title"),
        ({"metadata": {"x": "y" * 9_000}}, "metadata_too_large", "metadata"),
        (
            {"chunks": [{"text": "\x01" * 9_999 + "x", "embedding": V, "metadata": {"m": "y" * 8_000}}]},
            "metadata_too_large",
            "chunks[0]",
        ),
    ],
)
def test_a_document_that_cannot_be_is_refused_whole(api: Api, body: Any, code: str, named: str) -> None:
    library = api.vectors()
    status = 409 if code == "failed_precondition" else 422
    error = api.refused("POST", f"/api/v1/libraries/{library}/documents", body, status)
    assert error["code"] == code
    assert named in error["message"]
    assert api.ask("GET", f"/api/v1/libraries/{library}/documents")["documents"] == []
    assert api.points(library) == 0


def test_a_chunk_id_that_another_document_has_is_refused(api: Api) -> None:
    library = api.vectors()
    made = api.document(library, chunks=[CHUNK])
    taken = {"chunks": [CHUNK, {**CHUNK, "id": made["chunk_ids"][0]}]}
    path = f"/api/v1/libraries/{library}/documents"
    assert api.refused("POST", path, taken, 409)["code"] == "chunk_exists"
    other = api.document(library, chunks=[CHUNK])
    assert api.refused("PATCH", f"/api/v1/documents/{other['id']}", taken, 409)["code"] == "chunk_exists"
    assert api.points(library) == 2
    assert api.ask("GET", f"/api/v1/documents/{other['id']}")["revision"] == 1


def test_of_many_libraries_with_one_id_one_is_made(api: Api) -> None:
    id = str(uuid.uuid4())
    bodies = [{"id": id, "name": uuid.uuid4().hex, "model": None, "dimension": 3} for _ in range(8)]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda body: api.client.post("/api/v1/libraries", json=body), bodies))
    told = sorted((one.status_code, one.json().get("error", {}).get("code", "")) for one in answers)
    assert told == [(201, ""), *[(409, "library_exists")] * (len(bodies) - 1)]


def test_the_id_of_a_library_that_was_removed_is_said_to_be_free_later(api: Api) -> None:
    body = {"id": str(uuid.uuid4()), "model": None, "dimension": 3}
    library = api.library(**body)
    api.ask("DELETE", f"/api/v1/libraries/{library}", None, 204)
    error = api.refused("POST", "/api/v1/libraries", {**body, "name": uuid.uuid4().hex}, 409)
    assert error["code"] == "library_exists"
    assert "was removed a short while ago" in error["message"]


def test_what_is_wrong_is_named_as_the_request_has_it(api: Api) -> None:
    library = api.vectors()
    wrong = {"type": "hnsw", "parameters": {"m": 1}}
    error = api.refused("POST", f"/api/v1/libraries/{library}/index", wrong, 422)
    assert error["message"].startswith("parameters.m: ")
    assert [one["field"] for one in error["details"]["errors"]] == ["parameters.m"]
    body = {"name": uuid.uuid4().hex, "model": None, "dimension": 3, "index": wrong}
    error = api.refused("POST", "/api/v1/libraries", body, 422)
    assert error["message"].startswith("index.parameters.m: ")
    (chunk,) = api.document(library, chunks=[CHUNK])["chunk_ids"]
    error = api.refused("PATCH", f"/api/v1/chunks/{chunk}", {"text": "no model"}, 409)
    assert error["message"].startswith("embedding: ")


def test_an_index_that_is_asked_for_again_changes_nothing(api: Api) -> None:
    library = api.vectors()
    path = f"/api/v1/libraries/{library}"
    before = api.ask("GET", path)
    assert api.ask("POST", f"{path}/index", {"type": "brute_force"}, 202)["type"] == "brute_force"
    assert api.ask("GET", path) == before


def test_malformed_requests_are_named(api: Api) -> None:
    library = api.vectors()
    path = f"/api/v1/libraries/{library}"
    answer = api.client.post(f"{path}/documents", content=b"{not json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"
    assert api.refused("GET", "/api/v1/libraries/nope", None, 422)["code"] == "invalid_id"
    assert api.refused("GET", f"{path}/documents?limit=0", None, 422)["details"]["errors"]
    assert api.refused("PATCH", path, {}, 422)["code"] == "invalid_argument"
    # Null is not what is left out.
    for nothing in ({"name": None}, {"metadata": None}):
        assert "got null" in api.refused("PATCH", path, nothing, 422)["message"]
    assert api.refused("PATCH", path, {"name": "x"}, 422, if_match="W/1")["code"] == "invalid_argument"
    assert api.refused("PUT", path, {}, 405)["code"] == "method_not_allowed"


def test_the_collection_of_a_library_is_marked_and_only_read_from_outside(api: Api) -> None:
    library = api.vectors()
    api.document(library, chunks=[CHUNK])
    name = "library-" + library.replace("-", "")
    listed = api.ask("GET", "/api/v1/collections")["data"]["collections"]
    assert {one["name"]: one["library"] for one in listed}[name] == library
    attempts: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/vectors/insert", {"collection": name, "vectors": [{"vector": V}]}),
        (
            "POST",
            "/api/v1/vectors/delete",
            {"collection": name, "filter": {"field": "text", "operator": "exists"}},
        ),
        ("POST", "/api/v1/vectors/metadata", {"collection": name, "ids": [1], "merge": {"text": "x"}}),
        ("PATCH", f"/api/v1/vectors/{name}/1/metadata", {"text": "x"}),
        ("DELETE", f"/api/v1/vectors/{name}/1", None),
        ("PATCH", f"/api/v1/collections/{name}", {"target_recall": 0.5}),
        ("DELETE", f"/api/v1/collections/{name}", None),
    ]
    for method, path, body in attempts:
        answer = api.client.request(method, path, json=body)
        assert answer.status_code == 409, answer.text
        assert answer.json()["error"]["details"]["library"] == library
    taken = {"name": f"library-{uuid.uuid4().hex}", "dimension": 3}
    assert api.client.post("/api/v1/collections", json=taken).status_code == 422
    found = api.ask("POST", "/api/v1/vectors/search", {"collection": name, "vector": V})
    assert found["data"]["results"][0]["metadata"]["text"] == "fine"
