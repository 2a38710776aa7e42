"""What is tried again, how often, after how long, and what comes of it: both clients, against a server that
does as it is told."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from hxp_vector_client import (
    AsyncVectorClient,
    Batches,
    CallSettings,
    Retries,
    VectorClient,
    VectorError,
)
from hxp_vector_client import errors as named
from tests.unit.sdk.scripted_server import ScriptedServer, Told, data, refusal, scripted

_SEARCH = {"results": [{"id": 1, "score": 0.5}], "truncated": False}
_INSERTED = {"inserted": 1, "updated": 0, "ids": [1], "versions": [1]}
# No test waits for time that it could do without.
_QUICK = CallSettings(timeout_s=20.0, retries=Retries(attempts=3, base_s=0.001, longest_s=0.002))

Act = Callable[[Any], Any]


async def _done(answer: Any) -> Any:
    """What either client answers."""
    return await answer if inspect.isawaitable(answer) else answer


def _vectors() -> list[list[float]]:
    return [[1.0, 0.0]]


@pytest.fixture(params=[VectorClient, AsyncVectorClient])
def run(request: pytest.FixtureRequest) -> Callable[..., Awaitable[Any]]:
    """Do one thing with a new client of either kind."""

    async def act(server: ScriptedServer, what: Act, settings: CallSettings = _QUICK, **named: Any) -> Any:
        client = request.param(server.url, settings=settings, **named)
        try:
            return await _done(what(client))
        finally:
            await _done(client.close())

    return act


@pytest.mark.parametrize(
    "passing",
    [
        refusal(429, "overloaded"),
        refusal(429, "rate_limited"),
        refusal(503, "unavailable"),
        refusal(503, "database_unavailable"),
        refusal(503, "partial_write"),
        Told(0),
    ],
)
async def test_what_passes_is_tried_again(run: Any, passing: Told) -> None:
    with scripted(passing, passing, data(_INSERTED)) as server:
        stored = await run(server, lambda client: client.upsert("c", _vectors(), ids=[1]))
    assert stored.inserted == 1
    assert len(server.asked) == 3
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(keys) == 1
    assert len({asked.body for asked in server.asked}) == 1


async def test_each_call_has_a_key_of_its_own_and_reads_have_none(run: Any) -> None:
    with scripted(data(_INSERTED)) as server:
        await run(server, lambda client: client.upsert("c", _vectors()))
        await run(server, lambda client: client.upsert("c", _vectors()))
    first, second = (asked.headers["idempotency-key"] for asked in server.asked)
    assert first != second
    # Ids are made on this side, so that a write that comes twice writes the same points.
    assert server.asked[0].json["vectors"][0]["id"] != server.asked[1].json["vectors"][0]["id"]
    with scripted(data(_SEARCH)) as server:
        await run(server, lambda client: client.search("c", [1.0]))
    assert "idempotency-key" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "dimension_mismatch", named.DimensionMismatch),
        (404, "collection_not_found", named.CollectionNotFound),
        (401, "unauthenticated", named.Unauthenticated),
        (504, "deadline_exceeded", named.DeadlineExceeded),
        (500, "internal", named.Internal),
        (418, "teapot", VectorError),
    ],
)
async def test_what_would_fail_again_is_raised_at_once(
    run: Any, status: int, code: str, kind: type[VectorError]
) -> None:
    with scripted(refusal(status, code)) as server, pytest.raises(kind) as refused:
        await run(server, lambda client: client.search("c", [1.0]))
    assert len(server.asked) == 1
    error = refused.value
    assert (type(error), error.code, error.status, error.details) == (kind, code, status, {"n": 1})
    assert (error.message, error.request_id) == (f"told {code}", "r-1")


async def test_what_could_happen_twice_is_not_sent_again_once_it_was_sent(run: Any) -> None:
    """But for what the server knows by its key; and what was refused at the door was not done."""
    job = {"job_id": "j", "kind": "reembed", "state": "queued", "created_at": 0, "updated_at": 0}
    with scripted(Told(0), data(job)) as server:
        await run(server, lambda client: client.jobs.submit("reembed"))
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    assert len(server.asked) == 2
    # The answer holds a secret, which no server keeps.
    with scripted(Told(0), data({})) as server, pytest.raises(named.ConnectionFailed):
        await run(server, lambda client: client.keys.create("k", [{"scopes": ["read"]}]))
    assert len(server.asked) == 1
    answer = {"data": {"result": job}}
    for passing in (Told(0), refusal(429, "overloaded")):
        with scripted(passing, Told(200, answer)) as server:
            await run(server, lambda client: client.jobs.submit("reembed"), transport="graphql")
        assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
        assert len(server.asked) == 2


async def test_tries_end(run: Any) -> None:
    with scripted(refusal(503, "unavailable")) as server:
        with pytest.raises(named.Unavailable):
            await run(server, lambda client: client.count("c"))
        assert len(server.asked) == 1 + _QUICK.retries.attempts
        with pytest.raises(named.Unavailable):
            await run(server, lambda client: client.options(retries=0).count("c"))
    assert len(server.asked) == 2 + _QUICK.retries.attempts


async def test_who_waits_is_told_why(run: Any) -> None:
    told: list[tuple[str, float]] = []
    quick = replace(_QUICK, on_retry=lambda error, pause: told.append((error.code, pause)))
    with scripted(refusal(503, "unavailable"), Told(0), data({"count": 7})) as server:
        assert await run(server, lambda client: client.count("c"), quick) == 7
    assert [code for code, _ in told] == ["unavailable", "connection_failed"]
    assert all(0 <= pause < 1 for _, pause in told)


async def test_tries_end_with_the_time_for_them(run: Any) -> None:
    """However many there may be: the call itself would have had much longer."""
    patient = CallSettings(timeout_s=600.0, retries=Retries(10**9, 0.05, 0.05, within_s=1.0))
    with scripted(refusal(503, "unavailable")) as server, pytest.raises(named.Unavailable):
        await run(server, lambda client: client.count("c"), patient)
    assert len(server.asked) > 1
    # A pause that would end later is not begun.
    with scripted(refusal(503, "unavailable", "30")) as server, pytest.raises(named.Unavailable):
        await run(server, lambda client: client.count("c"), patient)
    assert len(server.asked) == 1


async def test_retry_after_is_obeyed_within_the_time_of_the_call(run: Any) -> None:
    with scripted(refusal(429, "rate_limited", "0.2"), data({"count": 7})) as server:
        began = time.monotonic()
        assert await run(server, lambda client: client.count("c")) == 7
        assert time.monotonic() - began >= 0.2
    with (
        scripted(refusal(429, "rate_limited", "3600"), data({"count": 7})) as server,
        pytest.raises(named.RateLimited) as refused,
    ):
        await run(server, lambda client: client.count("c"))
    assert refused.value.retry_after_s == 3600
    assert len(server.asked) == 1


async def test_a_call_ends_in_its_time(run: Any) -> None:
    with scripted(Told(-1)) as server, pytest.raises(named.TimedOut) as late:
        await run(server, lambda client: client.options(timeout_s=0.2).count("c"))
    assert isinstance(late.value, named.DeadlineExceeded)
    assert len(server.asked) == 1


async def test_a_server_that_is_not_there_has_a_name(run: Any) -> None:
    with scripted(data({})) as server:
        pass
    with pytest.raises(named.ConnectionFailed) as failed:
        await run(server, lambda client: client.count("c"))
    assert isinstance(failed.value, named.Unavailable)
    assert not failed.value.sent


@pytest.mark.parametrize("page", [b"<html>busy</html>", b"", {"other": 1}, [1]])
async def test_what_is_no_answer_of_this_api_has_a_name(run: Any, page: Any) -> None:
    with scripted(Told(502, page)) as server, pytest.raises(named.BadAnswer) as bad:
        await run(server, lambda client: client.count("c"))
    assert bad.value.status == 502


async def test_an_answer_of_another_shape_has_a_name(run: Any) -> None:
    for told in ({"results": [{"id": 1}]}, {"results": 5}, {}):
        with scripted(data(told)) as server, pytest.raises(named.BadAnswer, match="SearchResults"):
            await run(server, lambda client: client.search("c", [1.0]))


async def test_headers_and_the_key_go_with_each_request(run: Any) -> None:
    with scripted(data({"count": 1})) as server:
        told = {"X-Request-ID": "mine", "Cache-Control": "no-cache"}
        await run(server, lambda client: client.options(headers=told).count("c"), api_key="hxk_1")
    headers = server.asked[0].headers
    assert (headers["x-request-id"], headers["cache-control"]) == ("mine", "no-cache")
    assert headers["authorization"] == "Bearer hxk_1"
    assert headers["user-agent"].startswith("hxp-vector-client/")


@pytest.mark.parametrize("transport", ["rest", "grpc", "graphql"])
async def test_a_key_that_no_header_can_hold_is_refused_and_not_told(run: Any, transport: str) -> None:
    """One that was read with the end of its line, for instance."""
    with scripted(data({"count": 1})) as server:
        url = server.url if transport != "grpc" else server.url.removeprefix("http://")
        for key in ("hxk_secret\n", "two words", "schlüssel"):
            with pytest.raises(named.InvalidArgument, match="api_key") as refused:
                VectorClient(url, transport=transport, api_key=key)  # type: ignore[arg-type]
            assert key.strip() not in str(refused.value)
    assert not server.asked


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": 1.5, "vector": [1.0]}, r"points\[1\].id: an id is"),
        ({"id": 1, "vector": ["a"]}, r"points\[1\].vector: expected numbers"),
        ({"id": 1, "vektor": [1.0]}, r"points\[1\].vektor: expected one of"),
        (7, r"points\[1\]: expected an object"),
    ],
)
async def test_points_that_are_wrong_are_named_by_their_place(run: Any, wrong: Any, said: str) -> None:
    points = [{"id": 0, "vector": [1.0]}, wrong]
    with scripted(data(_INSERTED)) as server:
        with pytest.raises(named.InvalidArgument, match=said) as refused:
            await run(server, lambda client: client.write_points("c", points))
        assert (refused.value.details, server.asked) == ({"index": 1}, [])


async def test_a_text_that_is_none_is_left_to_the_server(run: Any) -> None:
    with scripted(refusal(422, "invalid_argument")) as server, pytest.raises(named.InvalidArgument):
        await run(server, lambda client: client.write_points("c", [{"id": 1, "text": 5}]))
    assert len(server.asked) == 1


async def test_connections_are_kept_and_closed_clients_say_so(run: Any) -> None:
    with scripted(data({"count": 1})) as server:

        async def several(client: Any) -> None:
            for _ in range(3):
                await _done(client.count("c"))
            await _done(client.close())
            with pytest.raises(named.ClientClosed, match="count"):
                await _done(client.count("c"))

        await run(server, several)
    assert len({asked.connection for asked in server.asked}) == 1
    assert len(server.asked) == 3


async def test_a_write_that_fails_midway_says_what_is_stored(run: Any) -> None:
    settings = CallSettings(
        timeout_s=20.0, retries=Retries(attempts=0), batches=Batches(points=2, parallel=1)
    )
    with (
        scripted(data({**_INSERTED, "ids": [1, 2]}), refusal(422, "zero_vector")) as server,
        pytest.raises(named.ZeroVector) as refused,
    ):
        await run(server, lambda client: client.upsert("c", [[1.0]] * 5, ids=range(5)), settings)
    assert refused.value.points_done == 2
    assert len(server.asked) == 2
    assert "number 2" in refused.value.__notes__[0]


async def test_a_stream_counts_what_is_acknowledged_and_nothing_twice(run: Any) -> None:
    """An answer that is lost is answered again to the same key; what failed is where to begin again."""
    settings = CallSettings(
        timeout_s=20.0,
        retries=Retries(attempts=1, base_s=0.001),
        batches=Batches(points=2, parallel=1),
    )
    points = [{"id": number, "vector": [1.0]} for number in range(6)]
    told: list[tuple[int, int | None]] = []
    stored = {"inserted": 2, "updated": 0, "ids": [1, 2], "versions": [1, 1]}
    with scripted(data(stored), Told(0), data(stored)) as server:
        tally = await run(
            server,
            lambda client: client.stream("c", points, progress=lambda *now: told.append(now)),
            settings,
        )
    assert (tally.points, tally.inserted, tally.updated) == (6, 6, 0)
    assert told == [(2, None), (4, None), (6, None)]
    keys = [asked.headers["idempotency-key"] for asked in server.asked]
    assert (keys[1] == keys[2], len(set(keys))) == (True, 3)
    told.clear()
    with (
        scripted(data(stored), data(stored), refusal(422, "zero_vector")) as server,
        pytest.raises(named.ZeroVector) as refused,
    ):
        await run(
            server,
            lambda client: client.stream("c", points, progress=lambda *now: told.append(now)),
            settings,
        )
    assert (refused.value.points_done, told) == (4, [(2, None), (4, None)])


async def test_batches_keep_to_bytes(run: Any) -> None:
    settings = CallSettings(batches=Batches(bytes=4_000, parallel=1))
    with scripted(data(_INSERTED)) as server:
        metadata = [{"text": "x" * 900}] * 10
        await run(server, lambda client: client.upsert("c", [[1.0]] * 10, metadata=metadata), settings)
    assert len(server.asked) == 4
    assert all(len(asked.body) <= 4_000 for asked in server.asked)
    assert sum(len(asked.json["vectors"]) for asked in server.asked) == 10


async def test_graphql_errors_have_the_same_names(run: Any) -> None:
    extensions = {"code": "dimension_mismatch", "details": {"n": 1}, "http_status": 422}
    body = {"data": None, "errors": [{"message": "told", "extensions": extensions}]}
    with scripted(Told(200, body)) as server, pytest.raises(named.DimensionMismatch) as refused:
        await run(server, lambda client: client.count("c"), transport="graphql")
    assert (refused.value.status, refused.value.details) == (422, {"n": 1})
    with scripted(refusal(429, "overloaded"), Told(200, {"data": {"result": 5}})) as server:
        assert await run(server, lambda client: client.count("c"), transport="graphql") == 5
