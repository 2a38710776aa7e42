"""Jobs and libraries of others are not there; the batch-processor shows a key of the platform's own."""

from __future__ import annotations

import uuid
from typing import Any

from tests.integration.gateway.guard.conftest import Guarded
from tests.integration.gateway.processor import running_processor
from tests.integration.waiting import wait_until

JOBS = "/api/v1/jobs"
LIBRARIES = "/api/v1/libraries"


def bulk(collection: str) -> dict[str, Any]:
    items = [{"id": number, "vector": [1, 0, 0]} for number in range(3)]
    return {"kind": "bulk_insert", "collection": collection, "items": items}


def test_a_job_runs_with_the_platforms_key(guarded_shards: Guarded) -> None:
    guard = guarded_shards
    name = guard.collection()
    asking = guard.caller(guard.key("read", "write", on=name))
    with running_processor(
        guard.stack,
        service_key_file=guard.stack.folder / "service",
        jobs_dir=guard.stack.folder / "uploads",
    ):
        job_id = asking.data(asking.post(JOBS, bulk(name)))["job_id"]

        def ended() -> bool:
            return bool(asking.data(asking.client.get(f"{JOBS}/{job_id}"))["state"] == "succeeded")

        wait_until("the job has ended", ended)
    assert asking.data(asking.post("/api/v1/vectors/count", {"collection": name}))["count"] == 3


def test_a_job_goes_on_when_its_key_is_revoked(guarded_shards: Guarded) -> None:
    """What was allowed when it was submitted is done; whoever has the key can do nothing more with it."""
    guard = guarded_shards
    name = guard.collection()
    made = guard.make({"scopes": ["read", "write"], "collections": [name]})
    asking = guard.caller(made["key"])
    job = asking.data(asking.post(JOBS, bulk(name)))["job_id"]
    stopped = asking.data(asking.post(JOBS, bulk(name)))["job_id"]
    assert guard.client.delete(f"/api/v1/keys/{made['id']}").status_code == 200

    def is_refused() -> bool:
        return asking.client.get(f"{JOBS}/{job}").status_code == 401

    wait_until("the key is refused", is_refused)
    for answer in (asking.post(JOBS, bulk(name)), asking.client.delete(f"{JOBS}/{stopped}")):
        assert answer.json()["error"]["code"] == "unauthenticated"
    # An administrator ends what shall not go on.
    assert guard.client.delete(f"{JOBS}/{stopped}").status_code == 200
    with running_processor(
        guard.stack,
        service_key_file=guard.stack.folder / "service",
        jobs_dir=guard.stack.folder / "uploads",
    ):

        def ended() -> bool:
            told = guard.stack.data(guard.client.get(f"{JOBS}/{job}"))
            return bool(told["state"] == "succeeded")

        wait_until("the job has ended", ended)
    assert guard.stack.data(guard.client.get(f"{JOBS}/{stopped}"))["state"] == "cancelled"
    count = guard.stack.post("/api/v1/vectors/count", {"collection": name})
    assert guard.stack.data(count)["count"] == 3


def test_a_job_of_another_collection_is_not_there(guard: Guarded) -> None:
    name = guard.collection()
    own = guard.caller(guard.key("write", on=name))
    other = guard.caller(guard.key("read", "write", on="other-*"))
    job_id = own.data(own.post(JOBS, bulk(name)))["job_id"]
    for asked in (job_id, "0" * 32):
        for answer in (
            other.client.get(f"{JOBS}/{asked}"),
            other.client.get(f"{JOBS}/{asked}/items", params={"status": "failed"}),
            other.client.get(f"{JOBS}/{asked}/events"),
            other.post(f"{JOBS}/{asked}/pause", {}),
            other.client.delete(f"{JOBS}/{asked}"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")
    refused = other.post(JOBS, bulk(name))
    assert refused.json()["error"]["code"] == "permission_denied"
    # A reembed reads its collection, and makes others.
    makes = {"kind": "reembed", "collection": name, "target": "made", "model": "hash-384"}
    reading = guard.caller(guard.key("read", "write", on=name))
    assert reading.post(JOBS, makes).json()["error"]["code"] == "permission_denied"
    assert own.client.delete(f"{JOBS}/{job_id}").status_code == 200


def test_a_library_is_its_collections(guard: Guarded) -> None:
    """Whoever may use `library-<id>` may use the library; its documents are not there for others."""
    # `library-0*` is another's.
    library, absent = (str(uuid.UUID("1" + uuid.uuid4().hex[1:])) for _ in range(2))
    new = {"id": library, "name": uuid.uuid4().hex, "dimension": 3, "model": None}
    made = guard.client.post(LIBRARIES, json=new)
    assert made.status_code == 201, made.text
    on = f"library-{library.replace('-', '')}"
    own = guard.caller(guard.key("read", "write", on=on))
    other = guard.caller(guard.key("admin", on="library-0*"))
    chunk = {"text": "a", "embedding": [1, 0, 0]}
    body = {"title": "a", "chunks": [chunk]}
    written = own.client.post(f"{LIBRARIES}/{library}/documents", json=body)
    assert written.status_code == 201, written.text
    document, (chunk_id,) = written.json()["id"], written.json()["chunk_ids"]
    assert own.client.get(f"/api/v1/documents/{document}").status_code == 200
    for asked in (library, absent):
        assert other.client.get(f"{LIBRARIES}/{asked}").status_code == 403
    for kind, found in (("documents", document), ("chunks", chunk_id)):
        for asked in (found, absent):
            assert other.client.get(f"/api/v1/{kind}/{asked}").status_code == 404
            assert other.client.delete(f"/api/v1/{kind}/{asked}").status_code == 404
    query = 'query { document(id: "%s") { id } }'
    for asked in (document, absent):
        told = other.client.post("/graphql", json={"query": query % asked}).json()
        assert told["errors"][0]["extensions"]["code"] == "document_not_found"
    assert own.client.delete(f"{LIBRARIES}/{library}").status_code == 403
    assert guard.client.delete(f"{LIBRARIES}/{library}").status_code == 204
