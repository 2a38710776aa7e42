"""Jobs as clients see them."""

from __future__ import annotations

from typing import Any

import orjson

from tests.integration.gateway.stack import Stack
from tests.integration.waiting import wait_until

JOBS = "/api/v1/jobs"
_ENDED = ("succeeded", "partial", "failed", "cancelled")


def accepted(stack: Stack, path: str, body: object) -> dict[str, Any]:
    answer = stack.post(path, body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = stack.data(answer)
    assert answer.headers["Location"] == f"{JOBS}/{job['job_id']}"
    return job


def job_of(stack: Stack, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.data(stack.client.get(f"{JOBS}/{job_id}"))
    return found


def ended(stack: Stack, job_id: str) -> dict[str, Any]:
    wait_until("the job has ended", lambda: job_of(stack, job_id)["state"] in _ENDED)
    return job_of(stack, job_id)


def lines_of(stack: Stack, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the job's result file."""
    answer = stack.client.get(job["result"]["location"])
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line) for line in answer.content.splitlines()]


def failed_items(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.data(
        stack.client.get(f"{JOBS}/{job_id}/items", params={"status": "failed"})
    )["items"]
    return found
