"""Clients of all protocols as a gateway has them, and servers for them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.protocols.trust import grpc_certificates
from hanax.gateway.models.secrets import Secrets
from hanax.rpc.channels import Channels
from tests.integration.gateway.upstreams.servers import UpstreamServer, running_upstream

# Where a test says nothing of time: longer than anything takes on a busy machine.
WITHIN_S = 60.0


@dataclass(frozen=True)
class Authority:
    """An authority of certificates, and the file that others trust it by."""

    ca: trustme.CA
    file: Path

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server of these names has."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(*names).configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return Authority(ca, file)


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
async def protocols(authority: Authority, secrets_dir: Path) -> AsyncIterator[Protocols]:
    channels = Channels(grpc_certificates(authority.file))
    secrets = Secrets(secrets_dir, {})
    made = Protocols(channels, secrets, UpstreamOptions(connections=8, ca_file=authority.file))
    yield made
    await made.close()
    await channels.close()


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    with running_upstream() as running:
        yield running
