"""Without HANAX_JOBS_DIR files of jobs are pieces in the database, which gateways and processors share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from hanax.core.model_routes import ModelRoute
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.uploads.limits import PORTION_BYTES
from hanax.metadata.uploads.tables import UPLOAD_PIECES
from tests.databases import TIMEOUT_S
from tests.integration.gateway.jobs.conftest import JOBS
from tests.integration.gateway.processor import running_processor
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.waiting import wait_until

LIMIT_BYTES = 4 * PORTION_BYTES
ROWS = 4_000

# A PostgreSQL, a gateway and a processor are started, perhaps on a busy machine.
pytestmark = pytest.mark.timeout(300)
BAD_LINE = 2_345


@pytest.fixture
def stack(tmp_path: Path, database_url: str, hash_model: ModelRoute) -> Iterator[Stack]:
    settings = {"database_url": database_url, "job_upload_bytes": LIMIT_BYTES}
    with running_stack(tmp_path, (hash_model,), **settings) as running:
        yield running


def upload(stack: Stack, spec: dict[str, Any], data: bytes) -> Any:
    form = {"job": orjson.dumps(spec)}
    return stack.client.post(JOBS, data=form, files={"file": ("rows.jsonl", data)})


def pieces(database_url: str) -> int:
    async def count() -> int:
        database = Database(DatabaseOptions(database_url, timeout_s=TIMEOUT_S))
        try:
            ((found,),) = await database.ask(select(func.count()).select_from(UPLOAD_PIECES))
            return int(found)
        finally:
            await database.close()

    return asyncio.run(count())


def ended(stack: Stack, job_id: str) -> Any:
    told: dict[str, Any] = {}

    def has_ended() -> bool:
        told.update(stack.data(stack.client.get(f"{JOBS}/{job_id}")))
        return told["state"] not in ("queued", "running")

    wait_until("the job has ended", has_ended, 120.0)
    return told


def test_a_file_is_done_from_its_pieces_and_they_go_with_the_job(stack: Stack, database_url: str) -> None:
    stack.create("docs")
    rows = [orjson.dumps({"id": row, "vector": [1, row, 2], "pad": "x" * 600}) for row in range(ROWS)]
    rows[BAD_LINE - 1] = b'{"id": 1, "vector": [1, 2'
    data = b"\n".join(rows)
    assert len(data) > 2 * PORTION_BYTES
    job_id = stack.data(upload(stack, {"kind": "bulk_insert", "collection": "docs"}, data))["job_id"]
    assert pieces(database_url) == 1 + len(data) // PORTION_BYTES
    with running_processor(stack, database_url=database_url, jobs_dir=None):
        job = ended(stack, job_id)
        assert job["state"] == "partial"
        assert job["progress"] | {"rate": None} == {
            "total": ROWS,
            "done": ROWS - 1,
            "failed": 1,
            "rate": None,
            "eta_s": None,
        }
        (item,) = stack.data(stack.client.get(f"{JOBS}/{job_id}/items", params={"status": "failed"}))["items"]
        assert (item["number"], item["line"]) == (BAD_LINE - 1, BAD_LINE)
        count = stack.post("/api/v1/vectors/count", {"collection": "docs"})
        assert stack.data(count)["count"] == ROWS - 1
        # For a retry, the file is still there.
        assert pieces(database_url) > 0
    assert stack.client.delete(f"{JOBS}/{job_id}", params={"forget": True}).is_success
    assert pieces(database_url) == 0


def test_a_result_file_is_made_of_pieces_and_streamed(stack: Stack, database_url: str) -> None:
    texts = [f"text {row}" for row in range(1_000)]
    data = b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts)
    spec = {"kind": "bulk_embed", "model": "hash-384"}
    job_id = stack.data(upload(stack, spec, data))["job_id"]
    with running_processor(stack, database_url=database_url, jobs_dir=None):
        job = ended(stack, job_id)
    assert job["state"] == "succeeded", job
    answer = stack.client.get(job["result"]["location"], headers={"accept-encoding": "identity"})
    lines = [orjson.loads(line) for line in answer.content.splitlines()]
    assert len(answer.content) > PORTION_BYTES
    assert answer.headers["content-length"] == str(len(answer.content))
    assert [line["number"] for line in lines] == list(range(len(texts)))
    assert {len(line["embedding"]) for line in lines} == {384}


def test_of_a_file_past_the_limit_no_piece_is_left(stack: Stack, database_url: str) -> None:
    stack.create("docs")
    form = b"--b\r\nContent-Disposition: form-data; name="

    def sent() -> Iterator[bytes]:
        """Its length is not declared: what came before the limit is kept by then."""
        yield form + b'"job"\r\n\r\n{"kind":"bulk_insert","collection":"docs"}\r\n'
        yield form + b'"file"; filename="rows.jsonl"\r\n\r\n'
        line = b'{"vector":[1,2,3]}\n' * 4_000
        for _ in range(2 * LIMIT_BYTES // len(line)):
            yield line
        yield b"\r\n--b--\r\n"

    answer = stack.client.post(
        JOBS, content=sent(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    wait_until("no piece is left", lambda: pieces(database_url) == 0)
    assert stack.data(stack.client.get(JOBS))["jobs"] == []
