"""Jobs go on when what they wait for is back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanax.core.errors import Unavailable
from tests.integration.gateway.models.jobs import JOBS, accepted, ended, failed_items, job_of
from tests.integration.gateway.processor import job_settings, running_processor
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
    with (
        running_stack(folder, (route,), request_timeout_s=0.5, **job_settings(folder)) as stack,
        running_processor(stack, batch_jobs=1),
    ):
        yield stack


def new_collection(stack: Stack, name: str) -> str:
    stack.create(name, dimension=8, embedding_model="later")
    return name


@pytest.mark.parametrize("versions", [{}, {"if_version": 0}], ids=["any", "versioned"])
def test_points_are_stored_when_a_shard_is_back(stack: Stack, versions: dict[str, int]) -> None:
    name = new_collection(stack, f"away-{len(versions)}")
    ill = stack.nodes[1]
    before = ill.calls["Upsert"]
    ill.faults.error, ill.faults.failures_left = Unavailable("away"), 1_000_000
    points = [point | versions for point in POINTS]
    job_id = accepted(stack, INSERT, {"collection": name, "vectors": points})["job_id"]
    try:
        wait_until(
            "it is told again and again",
            lambda: ill.calls["Upsert"] >= before + 10 or job_of(stack, job_id)["state"] == "failed",
        )
    finally:
        ill.faults.failures_left = 0
    done = ended(stack, job_id)
    assert (done["state"], done["error"], done["progress"]["done"]) == ("succeeded", None, len(POINTS))
    # Those that were stored before may have been written once more.
    assert done["result"]["inserted"] + done["result"].get("updated", 0) == len(POINTS)
    assert stack.data(stack.post("/api/v1/vectors/count", {"collection": name}))["count"] == len(POINTS)


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


def test_texts_that_are_too_long_are_failed_items_of_the_job(stack: Stack) -> None:
    texts = [f"text {number}" for number in range(300)]
    texts[290] = "word " * 600
    body = {"text": texts, "long_texts": "refuse"}
    job_id = accepted(stack, "/external/later/embed", body)["job_id"]
    assert ended(stack, job_id)["state"] == "partial"
    (item,) = failed_items(stack, job_id)
    assert (item["number"], item["error"]["code"]) == (290, "text_too_long")

    points = [{"vector": [1.0] * 8}, *({"text": text} for text in texts)]
    name = new_collection(stack, "long")
    insert = {"collection": name, "vectors": points, "long_texts": "refuse"}
    job = accepted(stack, INSERT, insert)
    done = ended(stack, job["job_id"])
    assert (done["state"], done["progress"]["done"], done["progress"]["failed"]) == ("partial", 300, 1)
    (item,) = failed_items(stack, job["job_id"])
    assert (item["number"], item["id"], item["error"]["code"]) == (291, job["ids"][291], "text_too_long")
    assert stack.data(stack.post("/api/v1/vectors/count", {"collection": name}))["count"] == 300
