"""Every change is written down, whatever it changes, and reads are in the operation log beside it."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.library_names import collection_of
from tests.integration.gateway.guard.audit_lines import audited
from tests.integration.gateway.guard.conftest import Guarded
from tests.integration.gateway.vector_service.client import TIMEOUT_S, connected
from tests.integration.waiting import wait_until

V1 = "/api/v1"


def change(guard: Guarded, method: str, path: str, body: object = None) -> tuple[Any, list[tuple[str, Any]]]:
    """What a change is answered, and what is written down of it: operations that succeeded, and where."""
    request_id = uuid.uuid4().hex
    answer = guard.client.request(method, f"{V1}{path}", json=body, headers={"X-Request-ID": request_id})
    assert answer.is_success, answer.text
    lines = audited(guard, request_id)
    assert {line["outcome"] for line in lines} == {"ok"}
    assert all(line["actor"].startswith("key admin, address") for line in lines)
    told = answer.json() if answer.content else {}
    # Libraries answer without an envelope.
    return told.get("data", told), [(line["operation"], line["collection"]) for line in lines]


def test_changes_of_aliases_and_of_the_cache(guard: Guarded) -> None:
    name = guard.collection()
    _, lines = change(guard, "PUT", f"/aliases/alias-{name}", {"collection": name})
    assert lines == [("switch_aliases", None)]
    request_id = uuid.uuid4().hex
    guard.client.delete("/cache", headers={"X-Request-ID": request_id})
    assert [line["operation"] for line in audited(guard, request_id)] == ["clear_cache"]


def test_changes_of_libraries_documents_and_chunks(guard: Guarded) -> None:
    library_id = uuid.uuid4().hex
    collection = collection_of(library_id)
    body = {"id": library_id, "name": library_id, "dimension": 3, "model": None}
    _, lines = change(guard, "POST", "/libraries", body)
    assert ("create_library", collection) in lines
    library = f"/libraries/{library_id}"
    assert change(guard, "PATCH", library, {"metadata": {"a": 1}})[1] == [("update_library", collection)]
    chunks = [{"text": "one", "embedding": [1, 0, 0]}]
    told, lines = change(guard, "POST", f"{library}/documents", {"title": "a", "chunks": chunks})
    assert lines == [("create_document", collection)]
    document = f"/documents/{told['id']}"
    assert change(guard, "PATCH", document, {"title": "b"})[1] == [("update_document", collection)]
    assert change(guard, "POST", f"{document}/chunks", {"chunks": chunks})[1] == [("add_chunks", collection)]
    found = guard.client.get(f"{V1}{document}/chunks").json()["chunks"]
    first, second = (f"/chunks/{chunk['id']}" for chunk in found)
    assert change(guard, "PATCH", first, {"metadata": {"a": 1}})[1] == [("update_chunk", collection)]
    assert change(guard, "DELETE", second)[1] == [("delete_chunk", collection)]
    assert change(guard, "DELETE", document)[1] == [("delete_document", collection)]
    assert ("delete_library", collection) in change(guard, "DELETE", library)[1]


def test_changes_of_jobs(guard: Guarded) -> None:
    """Nothing works on them here."""
    name = guard.collection()
    job = {"kind": "bulk_insert", "collection": name, "items": [{"id": 1, "vector": [1, 0, 0]}]}
    told, lines = change(guard, "POST", "/jobs", job)
    assert lines == [("submit_job", name)]
    for verb in ("pause", "resume"):
        _, lines = change(guard, "POST", f"/jobs/{told['job_id']}/{verb}")
        assert lines == [(f"{verb}_job", name)]
    # One that has not ended is cancelled, one that has ended forgotten.
    assert change(guard, "DELETE", f"/jobs/{told['job_id']}")[1] == [("cancel_job", name)]


def test_jobs_that_are_refused(guard: Guarded) -> None:
    """Whether their documents can be read or not, and whether their items come in them or as a file."""
    name = guard.collection()
    absent = f"absent-{uuid.uuid4().hex}"

    def refused(**sent: Any) -> list[tuple[str, Any, str]]:
        request_id = uuid.uuid4().hex
        answer = guard.client.post(f"{V1}/jobs", headers={"X-Request-ID": request_id}, **sent)
        assert answer.is_client_error, answer.text
        lines = audited(guard, request_id)
        assert all(line["actor"].startswith("key admin, address") for line in lines)
        assert {line["outcome"] for line in lines} == {answer.json()["error"]["code"]}
        return [(line["operation"], line["collection"], line["outcome"]) for line in lines]

    job: dict[str, Any] = {"kind": "bulk_insert", "collection": name}
    assert refused(json=[]) == [("submit_job", None, "invalid_argument")]
    assert refused(json={"kind": "bulk_insert"}) == [("submit_job", None, "invalid_argument")]
    assert refused(json=job) == [("submit_job", name, "invalid_argument")]
    elsewhere = {**job, "collection": absent, "items": [{"id": 1}]}
    assert refused(json=elsewhere) == [("submit_job", absent, "collection_not_found")]

    def file(document: Any, content: bytes) -> dict[str, Any]:
        return {"files": [("job", (None, orjson.dumps(document))), ("file", ("a.npy", content))]}

    assert refused(**file({"kind": "nope"}, b"")) == [("submit_job", None, "invalid_argument")]
    assert refused(**file(job, b"no numbers")) == [("submit_job", name, "invalid_upload")]


def test_a_message_of_a_stream_that_is_refused(guard: Guarded) -> None:
    """As a call is: a stream goes on for long, and each of its messages is somebody's."""
    name = guard.collection()
    key = guard.key("write", on="another")
    request_id = uuid.uuid4().hex
    insert = pb.InsertVectorsRequest(collection=name, vectors=pb.Vectors(dimension=3, values=[1.0, 0.0, 0.0]))
    told = (("x-api-key", key), ("x-request-id", request_id))
    with connected(guard.stack) as service:
        messages = iter([pb.StreamVectorsRequest(insert=insert)])
        (answer,) = service.StreamVectors(messages, metadata=told, timeout=TIMEOUT_S)
    assert answer.failure.code == "permission_denied"
    (line,) = audited(guard, request_id)
    assert line["outcome"] == "permission_denied"
    assert line["actor"].startswith("key ")


def test_reads_are_in_the_operation_log_alone(guard: Guarded) -> None:
    name = guard.collection()
    change(guard, "PUT", f"/aliases/alias-{name}", {"collection": name})
    prefix = uuid.uuid4().hex
    reads = {
        "list_collections": "/collections",
        "describe_collection": f"/collections/{name}",
        "list_aliases": "/aliases",
        "get_alias": f"/aliases/alias-{name}",
    }
    for operation, path in reads.items():
        headers = {"X-Request-ID": f"{prefix}-{operation}"}
        assert guard.client.get(f"{V1}{path}", headers=headers).status_code == 200
    body = {"text": "a", "model": "hash-384"}
    embedded = guard.client.post(
        f"{V1}/embeddings/generate", json=body, headers={"X-Request-ID": f"{prefix}-embed"}
    )
    assert embedded.status_code == 200, embedded.text

    def noted() -> bool:
        """About a second after they end."""
        page = guard.stack.data(guard.client.get(f"{V1}/operations", params={"limit": 1000}))
        lines = {one["request_id"]: one for one in page["operations"]}
        return all(
            lines.get(f"{prefix}-{operation}", {}).get("operation") == operation
            for operation in (*reads, "embed")
        )

    wait_until("reads are noted", noted)
    assert f'"{prefix}-' not in guard.stack.gateway.log.read_text()
