"""A job is followed to its end, in both forms of streams; whoever goes away leaves room for others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hanax.gateway.jobs.following import MAX_FOLLOWERS
from tests.integration.gateway.graphql.client import PATH, ask, post
from tests.integration.gateway.processor import job_settings, running_processor
from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.waiting import wait_until

SUBSCRIBE = "subscription ($id: ID!) { jobProgress(id: $id) { jobId state progress { done } } }"
SUBMIT = "mutation ($job: JSON!) { submitJob(job: $job) { jobId } }"
EVENTS = {"Accept": "text/event-stream"}
MULTIPART = {"Accept": 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway, shards and a batch-processor."""
    folder = tmp_path_factory.mktemp("busy")
    settings: dict[str, Any] = job_settings(folder)
    with running_shards(folder, **settings) as stack:
        stack.create("docs")
        with running_processor(stack):
            yield stack


def submit(stack: Stack) -> str:
    items = [{"id": number, "vector": [1, number, 0]} for number in range(200)]
    job = {"kind": "bulk_insert", "collection": "docs", "items": items, "batch_size": 10}
    id: str = ask(stack, SUBMIT, job=job)["submitJob"]["jobId"]
    return id


def body(job_id: str) -> dict[str, Any]:
    return {"query": SUBSCRIBE, "variables": {"id": job_id}}


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """The name and the data of each server-sent event."""
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: ") or line == "data:":
            data = line[6:]
            yield name, json.loads(data) if data else None


def test_a_subscription_tells_a_job_to_its_end_and_ends_with_it(busy: Stack) -> None:
    id = submit(busy)
    with busy.client.stream("POST", PATH, json=body(id), headers=EVENTS, timeout=60.0) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = list(events(answer))
    *nexts, last = told
    assert last == ("complete", None)
    jobs = [data["data"]["jobProgress"] for name, data in nexts if name == "next"]
    assert len(jobs) == len(nexts)
    assert {job["jobId"] for job in jobs} == {id}
    assert (jobs[-1]["state"], jobs[-1]["progress"]["done"]) == ("succeeded", 200)
    assert all(job["state"] in ("queued", "running") for job in jobs[:-1])
    done = [job["progress"]["done"] for job in jobs]
    assert done == sorted(done)


def test_apollos_clients_get_parts(busy: Stack) -> None:
    id = submit(busy)
    wait_until("the job ends", lambda: _state(busy, id) == "succeeded")
    answer = busy.client.post(PATH, json=body(id), headers=MULTIPART, timeout=60.0)
    assert answer.headers["content-type"].startswith("multipart/mixed;boundary=graphql")
    parts = [part.partition("\r\n\r\n")[2] for part in answer.text.split("--graphql")]
    told = [json.loads(part) for part in parts if part.strip()]
    payloads = [part["payload"] for part in told if "payload" in part]
    assert payloads[-1]["data"]["jobProgress"]["state"] == "succeeded"
    assert answer.text.endswith("--graphql--\r\n")


def test_what_is_wrong_is_told_in_the_stream(busy: Stack) -> None:
    answer = busy.client.post(PATH, json=body("nope"), headers=EVENTS)
    (_, data), last = list(events_of(answer))
    assert data["errors"][0]["extensions"]["code"] == "job_not_found"
    assert last == ("complete", None)
    invalid = busy.client.post(PATH, json={"query": "subscription { nope }"}, headers=EVENTS)
    (_, data), last = list(events_of(invalid))
    assert data["errors"][0]["extensions"]["code"] == "graphql_invalid"


def test_a_query_is_answered_as_a_stream_to_whoever_takes_nothing_else(busy: Stack) -> None:
    query = {"query": "{ __typename }"}
    (name, data), last = list(events_of(post(busy, query, accept="text/event-stream")))
    assert (name, data["data"], last) == ("next", {"__typename": "Query"}, ("complete", None))
    both = post(busy, query, accept="application/json, text/event-stream")
    assert both.json()["data"] == {"__typename": "Query"}


def test_a_client_that_goes_away_is_followed_no_longer(graph: Stack) -> None:
    """Nobody does this job: without an end to it, who followed it would be followed for ever."""
    job = {"kind": "bulk_insert", "collection": "docs", "items": [{"id": 1, "vector": [1, 1, 0]}]}
    id: str = ask(graph, SUBMIT, job=job)["submitJob"]["jobId"]

    def follows() -> bool:
        with graph.client.stream("POST", PATH, json=body(id), headers=EVENTS, timeout=60.0) as answer:
            _, data = next(events(answer))
            told = (data.get("data") or {}).get("jobProgress")
            return told is not None and told["state"] == "queued"

    # One more than may follow at once.
    for _ in range(MAX_FOLLOWERS + 1):
        wait_until("there is room", follows)
    ask(graph, "mutation ($id: ID!) { cancelJob(id: $id) { state } }", id=id)


def events_of(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    assert answer.status_code == 200
    return events(answer)


def _state(stack: Stack, id: str) -> Any:
    return ask(stack, "query ($id: ID!) { job(id: $id) { state } }", id=id)["job"]["state"]
