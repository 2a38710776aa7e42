"""Jobs over REST: taken, told, changed, followed, and their results. Tests play the processor."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from hanax.metadata.database import Database
from hanax.metadata.jobs.job import FailedItem
from hanax.metadata.jobs.task import Step, TaskKind
from hanax.metadata.jobs.work import Work
from hanax.metadata.uploads.opening import UploadOptions, open_uploads
from tests.integration.gateway.jobs.conftest import JOBS, LEASE_S, JobStack
from tests.integration.gateway.processor import job_settings
from tests.integration.gateway.stack import running_stack

INSERT = {"kind": "bulk_insert", "collection": "docs"}
LINE = b'{"vector":[1,2,3]}\n'


def read_upload(stack: JobStack, job_id: str) -> bytes:
    """What the processor would find."""

    async def act(work: Work, database: Database) -> bytes:
        claim = await work.claim("reader", LEASE_S, 1_000)
        while claim is not None and claim.job.id != job_id:
            claim = await work.claim("reader", LEASE_S, 1_000)
        assert claim is not None
        assert claim.job.upload_id is not None
        uploads = open_uploads(database, UploadOptions(stack.folder, 1), lambda: 0)
        return b"".join([portion async for portion in uploads.read(claim.job.upload_id)])

    return stack.process(act)


def end(stack: JobStack, job_id: str, failed: int = 0, result: bytes | None = None) -> None:
    """Do all that there is of a job in one task of four items, of which the first `failed` fail."""

    async def act(work: Work, database: Database) -> None:
        while (claim := await work.claim("doer", LEASE_S, 1_000)) is not None:
            if claim.job.id != job_id:
                continue
            if claim.task.kind is TaskKind.RUN:
                items = [FailedItem(n, "invalid_text", "bad", n + 1, n, '{"text":7}') for n in range(failed)]
                await work.advance(claim, LEASE_S, Step(claim.task.count, claim.task.count - failed), items)
                await work.end_task(claim)
                continue
            upload_id = None
            if result is not None:
                uploads = open_uploads(database, UploadOptions(stack.folder, 1 << 20), lambda: 10**15)
                async with uploads.create() as upload:
                    await upload.write(result)
                    await upload.finish()
                upload_id = upload.id
            await work.end_task(claim, {"dimension": 3}, upload_id)

    stack.process(act)


def test_a_job_with_items_is_taken_and_its_items_are_kept_as_lines(job_stack: JobStack) -> None:
    items = [{"id": 1, "vector": [1, 2, 3], "año": "ü"}, {"vector": "not a vector"}]
    job = job_stack.submit({**INSERT, "items": items, "priority": 7, "batch_size": 50})
    assert (job["kind"], job["state"], job["collection"], job["priority"]) == (
        "bulk_insert",
        "queued",
        "docs",
        7,
    )
    assert job["progress"] == {"total": 2, "done": 0, "failed": 0, "rate": None, "eta_s": None}
    assert (job["spec"]["format"], "items" in job["spec"]) == ("jsonl", False)
    assert job_stack.job(job["job_id"]) == job
    assert [orjson.loads(line) for line in read_upload(job_stack, job["job_id"]).splitlines()] == items


def test_items_that_are_wrong_are_kept_as_they_were_told(job_stack: JobStack) -> None:
    """They fail when they are read: NaN is no null, and what is too deep no error of the server."""
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    items = b'{"vector":[NaN,1],"a":null},{"vector":[1,2],"metadata":%b},{"vector":null}' % deep
    body = b'{"kind":"bulk_insert","collection":"docs","items":[%b]}' % items
    headers = {"content-type": "application/json"}
    answer = job_stack.stack.client.post(JOBS, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    nan, nested, null = read_upload(job_stack, answer.json()["data"]["job_id"]).splitlines()
    assert nan.replace(b" ", b"") == b'{"vector":[NaN,1],"a":null}'
    assert nested.count(b"{") == 401
    assert null == b'{"vector":null}'


def test_auto_and_aliases_are_settled_when_a_job_is_taken(job_stack: JobStack) -> None:
    job = job_stack.submit({"kind": "bulk_embed", "collection": "papers", "items": [{"text": "a"}]})
    assert (job["model"], job["collection"]) == ("tiny", "texts")
    job = job_stack.submit({"kind": "bulk_embed", "items": [{"text": "a"}]})
    assert (job["model"], job["collection"]) == ("tiny", None)
    named = {"kind": "reembed", "collection": "papers", "target": "new", "model": "wide", "alias": "papers"}
    job = job_stack.submit(named)
    assert job["collection"] == "texts"
    # Another one into the same new collection would mix with it, until the first has ended.
    second = job_stack.stack.post(JOBS, named)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "already_exists")
    assert job["job_id"] in second.json()["error"]["message"]
    job_stack.stack.client.delete(f"{JOBS}/{job['job_id']}")
    job_stack.submit(named)


@pytest.mark.parametrize(
    ("name", "told", "data"),
    [
        ("Rows.JSONL", None, LINE * 50_000),
        ("../../etc/passwd", "jsonl", LINE),
        ("rows.csv", None, b"vector\n[1]\n"),
        ("x.parquet", None, b"PAR1" + bytes(9_000)),
        ("x.fvecs", None, (3).to_bytes(4, "little") + bytes(12)),
    ],
)
def test_a_file_is_kept_byte_for_byte_whatever_it_is_called(
    job_stack: JobStack, name: str, told: str | None, data: bytes
) -> None:
    spec = INSERT if told is None else {**INSERT, "format": told}
    job = job_stack.stack.data(job_stack.upload(spec, name, data))
    assert job["progress"]["total"] is None
    assert read_upload(job_stack, job["job_id"]) == data
    (kept,) = job_stack.files
    assert len(kept) == 32
    assert set(kept) <= set("0123456789abcdef")


def test_a_form_in_small_portions_is_taken(job_stack: JobStack) -> None:
    """Boundaries that are divided by the network too."""
    data = LINE * 20 + b"--b\r\n\r\n--" + LINE
    parts = [
        b'--bound\r\nContent-Disposition: form-data; name="job"\r\n\r\n' + orjson.dumps(INSERT) + b"\r\n",
        b'--bound\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + data,
        b"\r\n--bound--\r\n",
    ]
    body = b"".join(parts)

    def portions() -> Iterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    headers = {"content-type": "multipart/form-data; boundary=bound"}
    job = job_stack.stack.data(job_stack.stack.client.post(JOBS, content=portions(), headers=headers))
    assert read_upload(job_stack, job["job_id"]) == data


def test_jobs_are_listed_page_by_page_and_by_state(job_stack: JobStack) -> None:
    ids = [job_stack.submit({**INSERT, "items": [{}]})["job_id"] for _ in range(3)]
    client = job_stack.stack.client
    client.delete(f"{JOBS}/{ids[1]}")

    def listed(**params: Any) -> list[str]:
        found = job_stack.stack.data(client.get(JOBS, params=params))["jobs"]
        return [job["job_id"] for job in found]

    assert listed() == ids[::-1]
    assert listed(limit=1) == ids[2:]
    assert listed(before=ids[2], limit=1) == ids[1:2]
    assert listed(state="cancelled") == ids[1:2]
    for params in ({"state": "done"}, {"limit": 0}, {"limit": 1_001}):
        assert client.get(JOBS, params=params).status_code == 422
    assert client.get(JOBS, params={"before": "x"}).status_code == 404


def test_a_job_is_paused_resumed_and_cancelled_and_what_does_not_go_is_refused(job_stack: JobStack) -> None:
    job_id = job_stack.submit({**INSERT, "items": [{}]})["job_id"]
    client = job_stack.stack.client

    def act(action: str) -> tuple[int, str]:
        answer = client.post(f"{JOBS}/{job_id}/{action}")
        body = answer.json()
        return answer.status_code, body["data"]["state"] if body["success"] else body["error"]["code"]

    assert act("resume") == (409, "wrong_job_state")
    assert act("pause") == (200, "paused")
    assert act("pause") == (409, "wrong_job_state")
    assert act("retry") == (409, "wrong_job_state")
    assert act("resume") == (200, "queued")
    assert client.get(f"{JOBS}/{job_id}/result").json()["error"]["code"] == "wrong_job_state"
    forgotten = {"forget": True}
    assert client.delete(f"{JOBS}/{job_id}", params=forgotten).json()["error"]["code"] == "wrong_job_state"
    # The answer to the first may have been lost, and the request is sent again.
    for _ in range(2):
        assert client.delete(f"{JOBS}/{job_id}").json()["data"]["state"] == "cancelled"
        # Its file goes with it; and it is told of until it is forgotten.
        assert job_stack.files == []
        assert act("pause") == (409, "wrong_job_state")
    assert client.delete(f"{JOBS}/{job_id}", params=forgotten).json()["data"]["state"] == "cancelled"
    for answer in (client.get(f"{JOBS}/{job_id}"), client.delete(f"{JOBS}/{job_id}", params=forgotten)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


def test_failed_items_are_told_with_their_lines_and_done_again_by_a_retry(job_stack: JobStack) -> None:
    job_id = job_stack.submit({**INSERT, "items": [{}] * 4})["job_id"]
    client = job_stack.stack.client
    job_stack.divide(job_id, 4)
    end(job_stack, job_id, failed=3)
    job = job_stack.job(job_id)
    assert (job["state"], job["progress"]["done"], job["progress"]["failed"]) == ("partial", 1, 3)
    path = f"{JOBS}/{job_id}/items"
    page = job_stack.stack.data(client.get(path, params={"status": "failed", "limit": 2}))
    assert page["items"][1] == {
        "number": 1,
        "line": 2,
        "id": 1,
        "error": {"code": "invalid_text", "message": "bad"},
        "item": {"text": 7},
    }
    after = page["next_after"]
    last = job_stack.stack.data(client.get(path, params={"status": "failed", "limit": 2, "after": after}))
    assert ([item["number"] for item in last["items"]], last["next_after"]) == ([2], None)
    for query in ("", "?status=done", "?status=failed&limit=0"):
        assert client.get(path + query).status_code == 422
    assert job_stack.stack.data(client.post(f"{JOBS}/{job_id}/retry"))["progress"]["failed"] == 0
    end(job_stack, job_id)
    job = job_stack.job(job_id)
    assert (job["state"], job["progress"]["done"]) == ("succeeded", 4)
    assert client.get(path, params={"status": "failed"}).json()["data"]["items"] == []


@pytest.mark.parametrize("by", ["cursor", "after"])
def test_pages_of_failed_items_go_on_behind_any_number(job_stack: JobStack, by: str) -> None:
    """A point that came into a collection while it was read has one past 2^40."""
    numbers = [5, 2**40 + 7, 2**40 + 8]
    job_id = job_stack.submit({**INSERT, "items": [{}] * 4})["job_id"]
    job_stack.divide(job_id, 4)

    async def fail(work: Work, database: Database) -> None:
        claim = await work.claim("doer", LEASE_S, 1_000)
        assert claim is not None
        items = [FailedItem(number, "invalid_text", "bad") for number in numbers]
        await work.advance(claim, LEASE_S, Step(4, 1), items)

    job_stack.process(fail)
    found: list[int] = []
    more: dict[str, Any] = {}
    while len(found) < 3:
        query = {"status": "failed", "limit": 1, **more}
        page = job_stack.stack.data(job_stack.stack.client.get(f"{JOBS}/{job_id}/items", params=query))
        found += [item["number"] for item in page["items"]]
        more = {by: page[f"next_{by}"]}
    assert found == numbers


def test_a_result_file_is_downloaded_and_goes_with_its_job(job_stack: JobStack) -> None:
    job_id = job_stack.submit({"kind": "bulk_embed", "items": [{"text": "a"}] * 4})["job_id"]
    client = job_stack.stack.client
    job_stack.divide(job_id, 4)
    end(job_stack, job_id, result=LINE * 10_000)
    job = job_stack.job(job_id)
    assert job["result"] == {"dimension": 3, "location": f"{JOBS}/{job_id}/result"}
    answer = client.get(job["result"]["location"], headers={"accept-encoding": "identity"})
    assert answer.content == LINE * 10_000
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert f"{job_id}.jsonl" in answer.headers["content-disposition"]
    files = job_stack.files
    refused = client.delete(f"{JOBS}/{job_id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "wrong_job_state")
    assert client.get(job["result"]["location"]).status_code == 200
    client.delete(f"{JOBS}/{job_id}", params={"forget": True})
    assert client.get(job["result"]["location"]).status_code == 404
    # Its upload was let go when it succeeded, and is swept.
    assert len(job_stack.files) == len(files) - 1


def test_a_job_into_a_collection_has_no_result_file(job_stack: JobStack) -> None:
    job_id = job_stack.submit({**INSERT, "items": [{}] * 4})["job_id"]
    job_stack.divide(job_id, 4)
    end(job_stack, job_id)
    answer = job_stack.stack.client.get(f"{JOBS}/{job_id}/result")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_the_queue_is_told(job_stack: JobStack) -> None:
    for _ in range(2):
        job_stack.submit({**INSERT, "items": [{}]})
    told = job_stack.stack.data(job_stack.stack.client.get("/api/v1/queue"))
    assert (told["jobs"]["queued"], told["tasks"]) == (2, {"waiting": 2, "running": 0})
    assert told["oldest_wait_s"] >= 0


def test_a_job_is_followed_to_its_end(job_stack: JobStack) -> None:
    job_id = job_stack.submit({**INSERT, "items": [{}] * 4})["job_id"]
    client = job_stack.stack.client
    with client.stream("GET", f"{JOBS}/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read_events(answer.iter_lines())
        first = next(events)
        assert (first["event"], first["data"]["state"]) == ("progress", "queued")
        job_stack.divide(job_id, 4)
        end(job_stack, job_id, failed=1)
        rest = list(events)
    assert [event["event"] for event in rest[:-1]] == ["progress"] * (len(rest) - 1)
    last = rest[-1]
    assert (last["event"], last["data"]["state"]) == ("end", "partial")
    assert last["data"] == job_stack.job(job_id)
    ids = [int(event["id"]) for event in (first, *rest)]
    assert ids == sorted(set(ids))
    # Who comes again, after the end or before it, is told the end.
    for seen in (str(ids[-1]), str(ids[0]), "", "nonsense"):
        with client.stream("GET", f"{JOBS}/{job_id}/events", headers={"last-event-id": seen}) as answer:
            (event,) = read_events(answer.iter_lines())
        assert event["event"] == "end"


def test_what_was_seen_is_not_told_again(job_stack: JobStack) -> None:
    job_id = job_stack.submit({**INSERT, "items": [{}]})["job_id"]
    client = job_stack.stack.client
    path = f"{JOBS}/{job_id}/events"
    with client.stream("GET", path) as answer:
        seen = next(read_events(answer.iter_lines()))["id"]
    with client.stream("GET", path, headers={"last-event-id": seen}) as answer:
        client.post(f"{JOBS}/{job_id}/pause")
        assert next(read_events(answer.iter_lines()))["data"]["state"] == "paused"


def test_a_job_that_is_forgotten_while_it_is_followed_ends_the_events(job_stack: JobStack) -> None:
    job_id = job_stack.submit({**INSERT, "items": [{}]})["job_id"]
    client = job_stack.stack.client
    assert client.get(f"{JOBS}/none/events").status_code == 404
    with client.stream("GET", f"{JOBS}/{job_id}/events") as answer:
        events = read_events(answer.iter_lines())
        next(events)
        for forget in (False, True):
            client.delete(f"{JOBS}/{job_id}", params={"forget": forget})
        (last,) = events
    assert last["event"] in ("end", "error")


def test_a_gateway_that_stops_ends_the_events(tmp_path: Path) -> None:
    """In order, not cut off when its grace is over: the client comes again, elsewhere."""
    with running_stack(tmp_path, (), **job_settings(tmp_path)) as stack:
        stack.create("docs")
        job = stack.data(stack.post(JOBS, {**INSERT, "items": [{}]}))
        with stack.client.stream("GET", f"{JOBS}/{job['job_id']}/events") as answer:
            events = read_events(answer.iter_lines())
            next(events)
            stack.gateway.process.send_signal(signal.SIGTERM)
            assert list(events) == []
        assert stack.gateway.process.wait(60) == 0


def read_events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = orjson.loads(value) if name == "data" else value
