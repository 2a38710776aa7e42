"""Servers that fail in all the ways servers fail: each becomes the error that says so, within its time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
    InvalidArgument,
    RateLimited,
    TextTooLong,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.model_routes import ModelProtocol, ModelRoute
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.wanted import Wanted
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.asking import SOON_S, TEXTS, at, embed, failure, probe
from tests.integration.gateway.upstreams.behaviours import Behaviour
from tests.integration.gateway.upstreams.conftest import WITHIN_S, Authority
from tests.integration.gateway.upstreams.replies import Embeddings
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream
from tests.integration.waiting import wait_until


@pytest.fixture(params=["http/1.1", "http/2"])
def either(request: pytest.FixtureRequest, authority: Authority) -> Iterator[UpstreamServer]:
    """The same server over HTTP/1.1, and over TLS with HTTP/2."""
    tls = authority.server("127.0.0.1") if request.param == "http/2" else None
    with running_upstream(tls=tls) as server:
        yield server


async def test_a_refused_connection_is_unavailable(protocols: Protocols, server: UpstreamServer) -> None:
    await embed(protocols, route_to(server))
    server.kill()
    error = await failure(protocols, route_to(server))
    assert type(error) is Unavailable
    assert "does not take connections" in error.message
    server.restart()
    await embed(protocols, route_to(server))


async def test_a_name_that_nobody_knows_is_unavailable(protocols: Protocols, server: UpstreamServer) -> None:
    error = await failure(protocols, route_to(server, endpoints=("http://no-such-host.invalid/v1",)))
    assert type(error) is Unavailable
    assert "name" in error.message


NO_ANSWERS: dict[str, tuple[Behaviour, str]] = {
    "wrong dimension": (behaviours.wrong_dimension(5), "vectors of 5 numbers"),
    "too few": (behaviours.wrong_count(-1), "2 vectors for 3 texts"),
    "too many": (behaviours.wrong_count(1), "4 vectors for 3 texts"),
    "NaN": (behaviours.not_finite, "not finite"),
    "infinite": (behaviours.infinite, "not finite"),
    "no direction": (behaviours.zeros, "no direction"),
    "cut JSON": (behaviours.cut_json, "not JSON"),
    "no JSON": (behaviours.page, "'text/html' instead of application/json"),
    "empty": (behaviours.body(b""), "not JSON"),
    "other JSON": (behaviours.body(b'{"data":{},"embeddings":7}'), "answered "),
    "no object": (behaviours.body(b"7"), "answered "),
    "no numbers": (
        behaviours.body(b'{"data":[{},{},{}],"embeddings":["a","b","c"]}'),
        "answered ",
    ),
}


@pytest.mark.parametrize("protocol", ["openai", "tei", "cohere", "ollama"])
@pytest.mark.parametrize("case", NO_ANSWERS)
async def test_an_answer_that_is_none_is_a_failed_upstream(
    protocols: Protocols, server: UpstreamServer, protocol: ModelProtocol, case: str
) -> None:
    behaviour, said = NO_ANSWERS[case]
    server.behave(behaviour)
    error = await failure(protocols, route_to(server, protocol=protocol))
    assert type(error) is UpstreamFailed
    assert said in error.message
    assert (error.details["retryable"], error.details["wrong_answer"]) == (True, True)
    server.behave(behaviours.well)
    await embed(protocols, route_to(server, protocol=protocol))


async def test_a_wrong_dimension_names_both(protocols: Protocols, server: UpstreamServer) -> None:
    server.behave(behaviours.wrong_dimension(5))
    details = (await failure(protocols, route_to(server))).details
    assert (details["expected"], details["got"]) == (8, 5)


@pytest.mark.parametrize("protocol", ["openai", "tei", "cohere", "ollama"])
async def test_a_server_that_does_not_cut_its_vectors_is_not_wrong(
    protocols: Protocols, server: UpstreamServer, protocol: ModelProtocol
) -> None:
    server.behave(behaviours.wrong_dimension(8))
    client, model = protocols.of(protocol), route_to(server, protocol=protocol)
    with pytest.raises(InvalidArgument, match="dimensions of 4"):
        await client.embed(at(model.addresses[0]), model, TEXTS, Wanted(dimensions=4))
    server.behave(behaviours.wrong_dimension(5))
    with pytest.raises(UpstreamFailed, match="5 numbers, expected 4"):
        await client.embed(at(model.addresses[0]), model, TEXTS, Wanted(dimensions=4))


async def test_numbers_beyond_float32_are_not_finite(protocols: Protocols, server: UpstreamServer) -> None:
    row = b"[1e39,0,0,0,0,0,0,0]"
    server.behave(behaviours.body(b"[" + b",".join([row] * 3) + b"]"))
    assert "not finite" in (await failure(protocols, route_to(server, protocol="tei"))).message


async def test_openai_indexes_that_repeat_are_refused(protocols: Protocols, server: UpstreamServer) -> None:
    server.behave(behaviours.same_indexes)
    assert "indexes" in (await failure(protocols, route_to(server))).message


BROKEN_OFF = [behaviours.reset, behaviours.reset_in_body, behaviours.end_in_body]


@pytest.mark.parametrize("behaviour", BROKEN_OFF)
async def test_a_connection_that_breaks_off_is_unavailable(
    protocols: Protocols, either: UpstreamServer, behaviour: Behaviour
) -> None:
    either.behave(behaviour)
    for _ in range(3):
        error = await failure(protocols, route_to(either))
        assert type(error) is Unavailable, error
        assert "retryable" not in error.details
    either.behave(behaviours.well)
    await embed(protocols, route_to(either))


SILENT = [behaviours.hang, behaviours.hang_in_body, behaviours.slow(600), behaviours.drip(1, 0.5)]


@pytest.mark.parametrize("behaviour", SILENT)
async def test_no_answer_in_time_is_deadline_exceeded_in_time(
    protocols: Protocols, either: UpstreamServer, behaviour: Behaviour
) -> None:
    either.behave(behaviour)
    began = time.monotonic()
    error = await failure(protocols, route_to(either), SOON_S)
    assert type(error) is DeadlineExceeded
    assert SOON_S <= time.monotonic() - began < WITHIN_S
    either.behave(behaviours.well)
    await embed(protocols, route_to(either))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_port_that_never_answers_is_given_up_and_its_connection_closed(
    protocols: Protocols, scheme: str
) -> None:
    """With TLS it does not come as far as a request."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"{scheme}://127.0.0.1:{mute.getsockname()[1]}"
        model = ModelRoute(name="mute", dimension=8, max_tokens=8, endpoints=(address,), protocol="tei")
        assert type(await failure(protocols, model, SOON_S)) is DeadlineExceeded
        connection, _ = mute.accept()
        with connection:
            connection.settimeout(WITHIN_S)
            # To the end, which there would not be while the connection is open.
            await asyncio.to_thread(_read_all, connection)


def _read_all(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65_536):
            pass


async def test_requests_that_are_cancelled_leave_the_connections_usable(
    protocols: Protocols, either: UpstreamServer
) -> None:
    """More than there are connections, so that one that is lost would be missed."""
    model = route_to(either)
    either.behave(behaviours.hang)
    for _ in range(3):
        tasks = [asyncio.create_task(embed(protocols, model)) for _ in range(10)]
        await asyncio.to_thread(wait_until, "the requests", lambda: either.now >= 8)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(result, asyncio.CancelledError)
            for result in await asyncio.gather(*tasks, return_exceptions=True)
        )
    either.behave(behaviours.well)
    await asyncio.gather(*(embed(protocols, model) for _ in range(20)))


async def test_a_slow_server_holds_up_no_other(protocols: Protocols, server: UpstreamServer) -> None:
    server.behave(behaviours.hang)
    stuck = [asyncio.create_task(embed(protocols, route_to(server))) for _ in range(30)]
    with running_upstream() as other:
        await asyncio.gather(*(embed(protocols, route_to(other)) for _ in range(30)))
    assert not any(task.done() for task in stuck)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


async def test_an_answer_without_end_is_not_read_to_its_end(
    protocols: Protocols, either: UpstreamServer
) -> None:
    either.behave(behaviours.huge(1 << 30))
    error = await failure(protocols, route_to(either))
    assert type(error) is UpstreamFailed
    assert "more than" in error.message


async def test_a_failure_without_end_is_told_by_its_beginning(
    protocols: Protocols, server: UpstreamServer
) -> None:
    server.behave(behaviours.status(500, body=b"broken " * 1_000_000))
    error = await failure(protocols, route_to(server))
    assert len(error.message) < 500
    assert "500: broken broken" in error.message


async def test_what_is_compressed_without_being_asked_for_is_refused(
    protocols: Protocols, server: UpstreamServer
) -> None:
    server.behave(behaviours.compressed)
    error = await failure(protocols, route_to(server))
    assert "gzip" in error.message
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_redirects_are_not_followed(protocols: Protocols, server: UpstreamServer) -> None:
    with running_upstream(Embeddings(key="never sent")) as elsewhere:
        server.behave(behaviours.redirect(f"{elsewhere.url}/v1/embeddings"))
        error = await failure(protocols, route_to(server))
        assert not elsewhere.requests
    assert type(error) is UpstreamFailed
    assert error.details["retryable"] is False


AGAIN = {400: False, 404: False, 405: False, 409: False, 408: True, 500: True, 502: True, 504: True}


@pytest.mark.parametrize("code", AGAIN)
async def test_a_status_says_whether_to_try_again(
    protocols: Protocols, server: UpstreamServer, code: int
) -> None:
    server.behave(behaviours.status(code, body=b'{"error":{"message":"no model of that name"}}'))
    error = await failure(protocols, route_to(server))
    assert type(error) is UpstreamFailed
    assert error.details["retryable"] is AGAIN[code]
    assert error.details["status"] == code
    # What stands before a server answers 502 and 504 while it is away.
    assert error.details.get("wrong_answer", False) is (code == 500)
    assert f"answered {code}: no model of that name" in error.message
    assert server.served == 1


@pytest.mark.parametrize(("code", "kind"), [(429, RateLimited), (503, Unavailable)])
async def test_a_server_that_asks_to_be_left_alone_is_understood(
    protocols: Protocols, server: UpstreamServer, code: int, kind: type[HanaxError]
) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    long_ago = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    said: dict[str | None, float | None] = {
        None: None,
        "2": 2,
        "0.5": 0.5,
        "-3": 0,
        "86400": 300,
        in_an_hour: 300,
        long_ago: 0,
        "soon": None,
        "nan": None,
        "inf": 300,
    }
    for value, expected in said.items():
        server.behave(behaviours.status(code, {} if value is None else {"retry-after": value}))
        error = await failure(protocols, route_to(server))
        assert type(error) is kind
        assert error.details.get("retry_after_s") == expected, value


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (413, b""),
        (413, b"<html>Request Entity Too Large</html>"),
        (422, b'{"detail":[{"msg":"Input is too long for this model"}]}'),
        (500, b'{"error":{"message":"input is too large to process. increase the physical batch size"}}'),
    ],
)
async def test_texts_that_a_server_finds_too_long_are_the_callers(
    protocols: Protocols, server: UpstreamServer, code: int, body: bytes
) -> None:
    server.behave(behaviours.status(code, body=body))
    assert type(await failure(protocols, route_to(server))) is TextTooLong


# --- TLS ---------------------------------------------------------------------------------------------


async def test_a_certificate_that_is_not_trusted_is_named_as_the_reason(
    protocols: Protocols, authority: Authority
) -> None:
    stranger = Authority(trustme.CA(), authority.file)
    for tls in (stranger.server("127.0.0.1"), authority.server("elsewhere.example")):
        with running_upstream(tls=tls) as server:
            error = await failure(protocols, route_to(server))
            assert type(error) is UpstreamFailed
            assert "certificate" in error.message
            assert error.details["retryable"] is False
            assert not server.requests


async def test_a_certificate_that_has_expired_is_named_as_the_reason(
    protocols: Protocols, authority: Authority
) -> None:
    tls = authority.server("127.0.0.1")
    authority.ca.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 2, tzinfo=UTC)).configure_cert(tls)
    with running_upstream(tls=tls) as server:
        error = await failure(protocols, route_to(server))
    assert "expired" in error.message


async def test_a_server_that_does_not_speak_tls_is_named_as_the_reason(
    protocols: Protocols, server: UpstreamServer
) -> None:
    model = route_to(server, endpoints=(server.url.replace("http:", "https:"),))
    error = await failure(protocols, model)
    assert type(error) is UpstreamFailed
    assert "TLS" in error.message


# --- probes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["openai", "tei", "cohere", "ollama"])
async def test_a_server_that_answers_its_health_path_is_well(
    protocols: Protocols, server: UpstreamServer, protocol: ModelProtocol
) -> None:
    await probe(protocols, route_to(server, protocol=protocol))
    server.kill()
    with pytest.raises(Unavailable):
        await probe(protocols, route_to(server, protocol=protocol))


async def test_a_health_path_that_somebody_named_has_to_be_there(protocols: Protocols) -> None:
    with running_upstream() as server:
        with pytest.raises(UpstreamFailed, match="404"):
            await probe(protocols, route_to(server, health_path="/well"))
        # Nobody named this one, and many servers have none: that it speaks is enough.
        server.answers.has_health = False
        await probe(protocols, route_to(server))
