"""Jobs go on when what they wait for is back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanax.core.errors import Unavailable
from tests.integration.gateway.models.jobs import JOBS, accepted, ended, job_of
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream
from tests.integration.waiting import wait_until

INSERT = "/api/v1/vectors/insert"
POINTS = [{"id": number, "text": f"point {number}"} for number in range(20)]


@pytest.fixture(scope="module")
def server() -> Iterator[UpstreamServer]:
    with running_upstream() as server:
        yield server


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, server: UpstreamServer) -> Iterator[Stack]:
    """Whose requests to shards are given up soon."""
    route = route_to(server, name="later", pattern="bulk_only", external=True)
    folder = tmp_path_factory.mktemp("patience")
    with running_stack(folder, (route,), request_timeout_s=0.5) as stack:
        yield stack


def new_collection(stack: Stack, name: str) -> str:
    stack.create(name, dimension=8, embedding_model="later")
    return name


def test_points_are_stored_when_a_shard_is_back(stack: Stack) -> None:
    name = new_collection(stack, "away")
    well, ill = stack.nodes
    before = well.calls["Upsert"]
    ill.faults.error, ill.faults.failures_left = Unavailable("away"), 1_000_000
    job_id = accepted(stack, INSERT, {"collection": name, "vectors": POINTS})["job_id"]
    try:
        wait_until(
            "all shards are told a second time",
            lambda: well.calls["Upsert"] >= before + 2 or job_of(stack, job_id)["state"] == "failed",
        )
    finally:
        ill.faults.failures_left = 0
    done = ended(stack, job_id)
    assert (done["state"], done["error"]) == ("succeeded", None)
    # Those that were stored before are written once more.
    assert done["result"]["inserted"] + done["result"]["updated"] == len(POINTS)
    assert stack.data(stack.post("/api/v1/vectors/count", {"collection": name}))["count"] == len(POINTS)


def test_points_with_versions_are_not_stored_twice(stack: Stack) -> None:
    """The second time their versions would be others, and the job would fail for what it did itself."""
    name = new_collection(stack, "versioned")
    ill = stack.nodes[1]
    ill.faults.error, ill.faults.failures_left = Unavailable("away"), 1_000_000
    points = [{**point, "if_version": 0} for point in POINTS]
    done = ended(stack, accepted(stack, INSERT, {"collection": name, "vectors": points})["job_id"])
    ill.faults.failures_left = 0
    assert (done["state"], done["error"]["code"]) == ("failed", "partial_write")


def test_a_model_that_is_not_served_for_a_while_is_waited_for(stack: Stack, server: UpstreamServer) -> None:
    name, models = new_collection(stack, "unserved"), stack.reconciler.models
    server.behave(behaviours.hang)
    blocking = accepted(stack, "/external/later/embed", {"text": "in front"})["job_id"]
    job_id = accepted(stack, INSERT, {"collection": name, "vectors": POINTS})["job_id"]
    stack.reconciler.models = ()
    wait_until("it is not served", lambda: not stack.client.get("/v1/models").json()["data"])
    server.behave(behaviours.well)
    stack.client.delete(f"{JOBS}/{blocking}")
    wait_until("its turn has come", lambda: job_of(stack, job_id)["state"] != "queued")
    stack.reconciler.models = models
    assert ended(stack, job_id)["state"] == "succeeded"


def test_places_of_texts_that_are_too_long_are_those_of_the_whole_job(stack: Stack) -> None:
    """A job embeds its texts in parts."""
    texts = [f"text {number}" for number in range(300)]
    texts[290] = "word " * 600
    body = {"text": texts, "long_texts": "refuse"}
    error = ended(stack, accepted(stack, "/external/later/embed", body)["job_id"])["error"]
    assert (error["code"], error["details"]["indexes"]) == ("text_too_long", [290])
    assert "290" in error["message"]

    points = [{"vector": [1.0] * 8}, *({"text": text} for text in texts)]
    insert = {"collection": new_collection(stack, "long"), "vectors": points, "long_texts": "refuse"}
    error = ended(stack, accepted(stack, INSERT, insert)["job_id"])["error"]
    assert (error["code"], error["details"]["indexes"]) == ("text_too_long", [291])
    assert error["message"].startswith("vectors[291].text: ")
