"""Requests with an Idempotency-Key: carried out once, and answered again as they were."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanax.gateway.rest.idempotency import POSTED_READS
from tests.integration.gateway.cache.redis_server import RedisServer, running_redis
from tests.integration.gateway.stack import GatewayProcess, Stack, running_stack
from tests.integration.waiting import wait_until

INSERT = "/api/v1/vectors/insert"


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def nameless(collection: str) -> dict[str, Any]:
    """A point that gets an id of its own each time that it is stored."""
    return {"collection": collection, "vectors": [{"vector": [1, 2, 3]}]}


def count(client: httpx.Client, name: str) -> int:
    found: int = client.post("/api/v1/vectors/count", json={"collection": name}).json()["data"]["count"]
    return found


def shut(stack: Stack) -> threading.Event:
    """What the nodes are asked from now on waits until this is set."""
    gate = threading.Event()
    for node in stack.nodes:
        node.faults.gate = gate
    return gate


def asked(stack: Stack) -> int:
    return sum(node.calls["UpsertEncoded"] + node.calls["Upsert"] for node in stack.nodes)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="module")
def once(stack: Stack) -> Stack:
    stack.create("once")
    return stack


def test_the_same_request_is_carried_out_once(once: Stack) -> None:
    before, sent = count(once.client, "once"), key()
    first = once.client.post(INSERT, json=nameless("once"), headers=sent)
    again = [once.client.post(INSERT, json=nameless("once"), headers=sent) for _ in range(3)]
    assert "Idempotent-Replayed" not in first.headers
    for answer in again:
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.json() == first.json()
        assert answer.headers["Content-Type"] == "application/json"
        # Of this answer, and not of the first.
        assert answer.headers["X-Request-ID"] != first.headers["X-Request-ID"]
        assert "Server-Timing" in answer.headers
    assert count(once.client, "once") == before + 1
    # In quotes, as the draft has it, it is the same key.
    quoted = {"Idempotency-Key": f'"{sent["Idempotency-Key"]}"'}
    assert once.client.post(INSERT, json=nameless("once"), headers=quoted).json() == first.json()
    # Without a key, and with another one, it is another request.
    once.client.post(INSERT, json=nameless("once"))
    once.client.post(INSERT, json=nameless("once"), headers=key())
    assert count(once.client, "once") == before + 3


def test_another_request_with_the_key_is_refused(once: Stack) -> None:
    sent = key()
    assert once.client.post(INSERT, json=nameless("once"), headers=sent).status_code == 200
    before = count(once.client, "once")
    others = [
        once.client.post(INSERT, json=nameless("once") | {"mode": "insert"}, headers=sent),
        once.client.post(INSERT + "?a=b", json=nameless("once"), headers=sent),
        once.client.post("/api/v1/vectors/delete", json=nameless("once"), headers=sent),
        once.client.delete("/api/v1/vectors/once/7", headers=sent),
    ]
    assert {code(answer) for answer in others} == {(422, "idempotency_key_reused")}
    assert count(once.client, "once") == before


def test_what_the_request_itself_deserves_is_answered_again(once: Stack) -> None:
    sent = key()
    bad = {"collection": "once", "vectors": [{"vector": [1, 2]}]}
    answers = [once.client.post(INSERT, json=bad, headers=sent) for _ in range(2)]
    assert [code(answer) for answer in answers] == [(422, "dimension_mismatch")] * 2
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    # A point that was deleted by a request whose answer was lost.
    once.insert("once", [{"id": 77, "vector": [1, 2, 3]}])
    sent = key()
    gone = [once.client.delete("/api/v1/vectors/once/77", headers=sent) for _ in range(2)]
    assert [answer.status_code for answer in gone] == [200, 200]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INSERT, {"collection": "once", "vectors": [{"vector": [1, 2]}]}),
        ("/v1/embeddings", {"model": "nope", "input": "a"}),
        ("/libraries", {"name": "a", "colour": "red"}),
    ],
)
def test_a_refusal_comes_again_in_the_form_that_is_asked_for(
    once: Stack, path: str, body: dict[str, Any]
) -> None:
    """Accept is no part of what is asked: the request is the same, whoever reads the answer."""
    forms = ("application/json", "application/problem+json", "application/json")
    for number, sent in enumerate((key(), key())):
        fresh = [once.client.post(path, json=body, headers={"Accept": form}) for form in forms]
        again = [once.client.post(path, json=body, headers={**sent, "Accept": forms[number]})]
        again += [once.client.post(path, json=body, headers={**sent, "Accept": form}) for form in forms]
        assert ["Idempotent-Replayed" in answer.headers for answer in again] == [False, True, True, True]
        for told, new in zip(again[1:], fresh, strict=True):
            assert (told.status_code, told.headers["Content-Type"]) == (
                new.status_code,
                new.headers["Content-Type"],
            )
            assert told.headers.get("Vary") == new.headers.get("Vary")
            assert plain(told) == plain(new)
        problem = again[2].json()
        assert problem["request_id"] == again[2].headers["X-Request-ID"]


def plain(answer: httpx.Response) -> dict[str, Any]:
    """Without what is of one request."""
    told: dict[str, Any] = answer.json()
    return {name: value for name, value in told.items() if name not in ("request_id", "processing_time_ms")}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    with running_stack(tmp_path, request_timeout_s=1.0) as stack:
        stack.create("once", shards=1)
        yield stack


def test_a_failure_may_be_tried_again_with_its_key(own: Stack) -> None:
    sent = key()
    for node in own.nodes:
        node.faults.delay_s = 30.0
    failed = own.client.post(INSERT, json=nameless("once"), headers=sent)
    assert failed.status_code in (503, 504)
    for node in own.nodes:
        node.faults.delay_s = 0.0
    done = own.client.post(INSERT, json=nameless("once"), headers=sent)
    assert done.status_code == 200
    assert "Idempotent-Replayed" not in done.headers


def test_while_the_first_is_under_way_the_second_is_refused(tmp_path: Path) -> None:
    with running_stack(tmp_path) as own:
        own.create("once", shards=1)
        sent = key()
        gate = shut(own)
        writes = asked(own)
        answers: list[httpx.Response] = []
        url = own.gateway.url + INSERT
        first = threading.Thread(
            target=lambda: answers.append(httpx.post(url, json=nameless("once"), headers=sent, timeout=60))
        )
        first.start()
        wait_until("the first to arrive", lambda: asked(own) > writes)
        second = own.client.post(INSERT, json=nameless("once"), headers=sent)
        gate.set()
        first.join()
        assert answers[0].status_code == 200
        assert code(second) == (409, "idempotency_key_in_flight")
        assert second.headers["Retry-After"] == "1"
        third = own.client.post(INSERT, json=nameless("once"), headers=sent)
        assert third.json() == answers[0].json()


def test_a_request_whose_client_goes_away_is_brought_to_its_end(tmp_path: Path) -> None:
    with running_stack(tmp_path) as own:
        own.create("once", shards=1)
        sent = key()
        gate = shut(own)
        writes = asked(own)
        first = httpx.Request("POST", own.gateway.url + INSERT, json=nameless("once"), headers=sent)
        head = "".join(f"{name}: {value}\r\n" for name, value in first.headers.items())
        with socket.create_connection(("127.0.0.1", own.gateway.port)) as client:
            client.sendall(f"POST {INSERT} HTTP/1.1\r\n{head}\r\n".encode() + first.content)
            wait_until("it has begun", lambda: asked(own) > writes)
        still = own.client.post(INSERT, json=nameless("once"), headers=sent)
        assert code(still) == (409, "idempotency_key_in_flight")
        gate.set()

        def answered() -> httpx.Response | None:
            answer = own.client.post(INSERT, json=nameless("once"), headers=sent)
            return answer if answer.status_code == 200 else None

        answer = wait_until("the answer of the first", answered)
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert count(own.client, "once") == 1
        assert answer.json()["data"]["inserted"] == 1


@pytest.mark.parametrize("given", ["", '""', "x" * 256, 'a"b', '"open', "é", "two words"])
def test_a_key_that_is_none_is_refused(once: Stack, given: str) -> None:
    headers = {b"Idempotency-Key": given.encode("latin-1")}
    answer = once.client.post(INSERT, json=nameless("once"), headers=headers)
    assert code(answer) == (422, "invalid_argument")
    assert "Idempotency-Key" in answer.json()["error"]["message"]


def test_streams_and_files_take_no_key(once: Stack) -> None:
    headers = {**key(), "Content-Type": "application/x-ndjson"}
    line = b'{"collection": "once"}\n'
    assert code(once.client.post(INSERT, content=line, headers=headers)) == (422, "invalid_argument")
    files = {"file": ("a.jsonl", b"{}")}
    assert code(once.client.post("/api/v1/jobs", files=files, headers=key())) == (422, "invalid_argument")


def test_what_only_reads_passes_by(once: Stack) -> None:
    sent = key()
    for path in ("count", "scroll", "search"):
        body = {"collection": "once"} | ({"vector": [1, 2, 3]} if path == "search" else {})
        answer = once.client.post(f"/api/v1/vectors/{path}", json=body, headers=sent)
        assert answer.status_code == 200, answer.text
        assert "Idempotent-Replayed" not in answer.headers
    assert once.client.get("/api/v1/collections", headers=sent).status_code == 200


def test_what_is_posted_to_be_read_is_named(once: Stack) -> None:
    """A new route that is posted to is either of these, or one that changes something."""
    changing = {"insert", "delete", "metadata", "switch", "collections", "jobs", "pause", "resume", "retry"}
    changing |= {"libraries", "documents", "chunks", "index", "generate", "embed", "embeddings", "warm"}
    changing |= {"keys", "rotate", "revoke", "graphql"}
    posted = {
        path.rpartition("/")[2]
        for path, methods in once.client.get("/openapi.json").json()["paths"].items()
        if "post" in methods
    }
    assert posted - changing == POSTED_READS


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def _has_redis(client: httpx.Client) -> bool:
    return bool(client.get("/cache/stats").json()["data"]["state"] == "ok")


def test_gateways_that_share_a_redis_know_each_others_keys(redis: RedisServer, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"redis_url": redis.url, "redis_patience_s": 5.0}
    with running_stack(tmp_path, **settings) as stack:
        stack.create("once")
        (tmp_path / "second").mkdir()
        second = GatewayProcess(
            tmp_path / "second",
            **settings,
            routing_file=tmp_path / "routing.json",
            catalog_dir=tmp_path / "catalog",
        )
        other = httpx.Client(base_url=second.url, timeout=60)
        try:
            wait_until("the second gateway", lambda: other.get("/ready").status_code == 200)
            for client in (stack.client, other):
                wait_until("its Redis", partial(_has_redis, client))
            sent = key()
            first = stack.client.post(INSERT, json=nameless("once"), headers=sent)
            again = other.post(INSERT, json=nameless("once"), headers=sent)
            assert again.headers["Idempotent-Replayed"] == "true"
            assert again.json() == first.json()
            assert code(other.post(INSERT, json={}, headers=sent)) == (422, "idempotency_key_reused")
            # Forgetting the cache does not forget them.
            assert other.delete("/cache").status_code == 200
            assert other.post(INSERT, json=nameless("once"), headers=sent).json() == first.json()
            # Of many that come at once to both, one is carried out.
            before, sent = count(stack.client, "once"), key()

            def send(number: int) -> httpx.Response:
                client = (stack.client, other)[number % 2]
                return client.post(INSERT, json=nameless("once"), headers=sent)

            with ThreadPoolExecutor(8) as threads:
                answers = list(threads.map(send, range(16)))
            assert {answer.status_code for answer in answers} <= {200, 409}
            assert count(stack.client, "once") == before + 1
        finally:
            other.close()
            second.close()


def test_while_redis_is_away_a_gateway_remembers_for_itself(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with (
        running_redis(tmp_path / "redis") as server,
        running_stack(tmp_path, redis_url=server.url) as stack,
    ):
        stack.create("once")
        server.kill()
        sent = key()
        first = stack.client.post(INSERT, json=nameless("once"), headers=sent)
        assert first.status_code == 200
        again = stack.client.post(INSERT, json=nameless("once"), headers=sent)
        assert again.json() == first.json()
        assert count(stack.client, "once") == 1
