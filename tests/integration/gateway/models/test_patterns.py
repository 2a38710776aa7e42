"""Models that queue: what is answered with a job, what the job does, and what can't wait."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from tests.integration.gateway.models.conftest import Outside
from tests.integration.gateway.models.jobs import JOBS, accepted, ended, job_of, lines_of
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.replies import vector_of
from tests.integration.waiting import wait_until

GENERATE = "/api/v1/embeddings/generate"

_numbers = count()


def texts_of(number: int) -> list[str]:
    """Texts that no other test has."""
    mark = next(_numbers)
    return [f"pattern {mark} text {place}" for place in range(number)]


def new_collection(stack: Stack, model: str) -> str:
    name = f"pattern-{next(_numbers)}"
    stack.create(name, dimension=8, embedding_model=model)
    return name


def test_hybrid_answers_up_to_fifty_texts_and_urgent_ones_at_once(outside: Outside) -> None:
    few, many = texts_of(50), texts_of(51)
    stack = outside.stack
    assert len(stack.data(stack.post(GENERATE, {"text": few, "model": "mixed"}))["embeddings"]) == 50
    urgent = {"text": many, "model": "mixed", "urgent": True}
    assert len(stack.data(stack.post(GENERATE, urgent))["embeddings"]) == 51
    job = accepted(stack, GENERATE, {"text": many, "model": "mixed"})
    assert (job["kind"], job["model"], job["progress"]["total"]) == ("bulk_embed", "mixed", 51)


def test_a_job_embeds_and_keeps_its_result(outside: Outside) -> None:
    texts, stack = texts_of(300), outside.stack
    job = accepted(stack, "/external/later/embed", {"text": texts})
    done = ended(stack, job["job_id"])
    assert (done["state"], done["progress"]["done"], done["error"]) == ("succeeded", 300, None)
    lines = lines_of(stack, done)
    assert [line["number"] for line in lines] == list(range(300))
    expected = np.stack([vector_of(text, 8) for text in texts])
    np.testing.assert_allclose([line["embedding"] for line in lines], expected, atol=1e-6)
    assert done["result"]["dimension"] == 8
    assert done["created_at"] <= done["began_at"] <= done["ended_at"]
    listed = stack.data(stack.client.get(JOBS, params={"state": "succeeded"}))["jobs"]
    assert job["job_id"] in [one["job_id"] for one in listed]


def test_points_of_a_bulk_model_are_stored_by_the_job(outside: Outside) -> None:
    stack, texts = outside.stack, texts_of(3)
    name = new_collection(stack, "later")
    points: list[dict[str, Any]] = [{"id": place, "text": text} for place, text in enumerate(texts)]
    points.append({"vector": [1.0] + [0.0] * 7})
    job = accepted(stack, "/api/v1/vectors/insert", {"collection": name, "vectors": points})
    assert (job["kind"], job["collection"], job["progress"]["total"]) == ("bulk_embed", name, 4)
    assert job["ids"][:3] == [0, 1, 2]
    done = ended(stack, job["job_id"])
    assert (done["state"], done["result"]["inserted"]) == ("succeeded", 4)
    stack.data(stack.client.get(f"/api/v1/vectors/{name}/{job['ids'][3]}"))
    found = stack.data(stack.client.get(f"/api/v1/vectors/{name}/1"))
    np.testing.assert_allclose(found["embedding"], vector_of(texts[1], 8), atol=1e-6)
    assert found["provenance"]["pattern"] == "bulk_only"


def test_points_with_vectors_are_stored_at_once_whatever_the_pattern(outside: Outside) -> None:
    name = new_collection(outside.stack, "later")
    assert outside.stack.insert(name, [{"id": 1, "vector": [1.0] * 8}])["inserted"] == 1


def test_a_batch_that_is_wrong_is_refused_and_not_queued(outside: Outside) -> None:
    name = new_collection(outside.stack, "later")
    body = {"collection": name, "vectors": [{"text": "fine"}, {"text": ""}]}
    answer = outside.stack.post("/api/v1/vectors/insert", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["index"] == 1


def test_a_search_by_text_can_not_wait_for_a_bulk_model(outside: Outside) -> None:
    name = new_collection(outside.stack, "later")
    answer = outside.stack.post("/api/v1/vectors/search", {"collection": name, "text": "now please"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "model_is_bulk_only")


def test_a_search_by_text_through_a_hybrid_model_is_answered(outside: Outside) -> None:
    name, (text,) = new_collection(outside.stack, "mixed"), texts_of(1)
    outside.stack.insert(name, [{"id": 1, "text": text}])
    asked = {"collection": name, "text": text}
    (hit,) = outside.stack.data(outside.stack.post("/api/v1/vectors/search", asked))["results"]
    assert hit["id"] == 1


def test_a_running_job_and_one_behind_it_can_be_cancelled(outside: Outside) -> None:
    stack = outside.stack
    outside.servers["later"].behave(behaviours.hang)
    running = accepted(stack, "/external/later/embed", {"text": texts_of(1)})["job_id"]
    wait_until("it runs", lambda: job_of(stack, running)["state"] == "running")
    queued = accepted(stack, "/external/later/embed", {"text": texts_of(1)})["job_id"]
    assert job_of(stack, queued)["state"] == "queued"
    for job_id in (queued, running):
        assert stack.data(stack.client.delete(f"{JOBS}/{job_id}"))["state"] == "cancelled"
        assert job_of(stack, job_id)["state"] == "cancelled"
    # Its place is free again.
    outside.servers["later"].behave(behaviours.well)
    job = accepted(stack, "/external/later/embed", {"text": texts_of(1)})
    assert ended(stack, job["job_id"])["state"] == "succeeded"


def test_an_ended_job_is_forgotten_when_that_is_asked(outside: Outside) -> None:
    stack = outside.stack
    job_id = accepted(stack, "/external/later/embed", {"text": texts_of(1)})["job_id"]
    ended(stack, job_id)
    assert stack.client.delete(f"{JOBS}/{job_id}").json()["error"]["code"] == "wrong_job_state"
    forgotten = stack.client.delete(f"{JOBS}/{job_id}", params={"forget": True})
    assert stack.data(forgotten)["state"] == "succeeded"
    for answer in (stack.client.get(f"{JOBS}/{job_id}"), stack.client.delete(f"{JOBS}/{job_id}")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


def test_a_job_whose_model_answers_nonsense_fails_with_the_reason(outside: Outside) -> None:
    stack = outside.stack
    outside.servers["later"].behave(behaviours.status(401))
    done = ended(stack, accepted(stack, "/external/later/embed", {"text": texts_of(1)})["job_id"])
    assert (done["state"], done["error"]["code"]) == ("failed", "upstream_failed")


def test_a_job_that_asks_for_more_than_the_model_has_is_not_queued(outside: Outside) -> None:
    body = {"text": texts_of(1), "dimensions": 99}
    answer = outside.stack.post("/external/later/embed", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_argument")


def test_a_job_waits_for_a_model_that_is_away(outside: Outside) -> None:
    stack, server = outside.stack, outside.servers["later"]
    server.kill()
    try:
        job_id = accepted(stack, "/external/later/embed", {"text": texts_of(1)})["job_id"]
        wait_until("it runs", lambda: job_of(stack, job_id)["state"] == "running")
    finally:
        server.restart()
    assert ended(stack, job_id)["state"] == "succeeded"


def test_points_of_a_collection_that_is_gone_are_not_put_into_its_namesake(outside: Outside) -> None:
    stack, server = outside.stack, outside.servers["later"]
    name = new_collection(stack, "later")
    server.behave(behaviours.hang)
    blocking = accepted(stack, "/external/later/embed", {"text": texts_of(1)})["job_id"]
    body = {"collection": name, "vectors": [{"id": 1, "text": texts_of(1)[0]}]}
    job_id = accepted(stack, "/api/v1/vectors/insert", body)["job_id"]
    stack.data(stack.client.delete(f"/api/v1/collections/{name}"))
    stack.create(name, dimension=8, embedding_model="later")
    server.behave(behaviours.well)
    stack.client.delete(f"{JOBS}/{blocking}")
    done = ended(stack, job_id)
    assert (done["state"], done["error"]["code"]) == ("failed", "collection_not_found")
    assert stack.data(stack.post("/api/v1/vectors/count", {"collection": name}))["count"] == 0
