"""A key reaches its server, and nothing else: no log, no message, no detail, whatever the server does."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from hanax.core.errors import Unavailable, UpstreamFailed
from hanax.core.model_routes import SecretFile
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.wanted import Wanted
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.asking import at
from tests.integration.gateway.upstreams.conftest import WITHIN_S, Authority
from tests.integration.gateway.upstreams.replies import Embeddings
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream

KEY = "sk-very-secret-0123456789"
SECRET = SecretFile(name="upstream", key="token")


def write(secrets_dir: Path, key: str) -> None:
    (secrets_dir / SECRET.name).mkdir(parents=True, exist_ok=True)
    new = secrets_dir / SECRET.name / "new"
    new.write_text(key + "\n")
    new.rename(secrets_dir / SECRET.name / SECRET.key)


async def embed(protocols: Protocols, server: UpstreamServer, secret: SecretFile | None) -> None:
    model = route_to(server, secret=secret)
    await protocols.of("openai").embed(at(model.addresses[0]), model, ["text"], Wanted())


async def test_a_key_that_was_replaced_is_used_at_the_next_request(
    protocols: Protocols, secrets_dir: Path
) -> None:
    with running_upstream(Embeddings(key="new")) as server:
        write(secrets_dir, "old")
        with pytest.raises(UpstreamFailed, match="refused our key; see secret 'upstream'") as raised:
            await embed(protocols, server, SECRET)
        assert raised.value.details["retryable"] is False
        write(secrets_dir, "new")
        await embed(protocols, server, SECRET)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer old", "Bearer new"]


async def test_a_server_that_wants_a_key_the_model_has_none_for_is_told_so(protocols: Protocols) -> None:
    with (
        running_upstream(Embeddings(key="some")) as server,
        pytest.raises(UpstreamFailed, match="wants a key, and the model has no secret"),
    ):
        await embed(protocols, server, None)


async def test_without_its_key_nothing_is_sent(protocols: Protocols, server: UpstreamServer) -> None:
    with pytest.raises(Unavailable, match="secret 'upstream', key 'token'"):
        await embed(protocols, server, SECRET)
    assert not server.requests


def test_a_key_is_told_to_nobody(authority: Authority, secrets_dir: Path) -> None:
    """Even where servers repeat it, and with everything logged that can be."""
    write(secrets_dir, KEY)
    repeated = b'{"error":{"message":"what is this key Bearer ' + KEY.encode() + b' for?"}}'
    well, refusing = Embeddings(key=KEY), Embeddings(key="another")
    tls = authority.server("127.0.0.1")
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(running_upstream(answers, secured))
            for secured in (None, tls)
            for answers in (well, refusing, well, well, well)
        ]
        for server in servers[2::5]:
            server.behave(behaviours.status(500, body=repeated))
        for server in servers[3::5]:
            server.behave(behaviours.status(404, body=repeated.replace(b'"', b" ")))
        for server in servers[4::5]:
            server.behave(behaviours.reset_in_body)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.integration.gateway.upstreams.asking_process",
                str(authority.file),
                str(secrets_dir),
                *(server.base("openai") for server in servers),
            ],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=True,
        )
        for server in servers:
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
            assert server.requests[0].http2 == server.url.startswith("https")
    told = done.stdout + done.stderr
    # It had something to tell.
    assert told.count("made Made(") == 2
    for said in ("refused our key", "answered 500: what is this key Bearer [key]", "closed the connection"):
        assert told.count(said) >= 2
    assert '"level": "debug"' in told
    for part in (KEY, "very-secret", "0123456789"):
        assert part not in told
    # From HTTP/2's own logs the key can be decoded, though nobody sees it.
    assert "header block" not in told
