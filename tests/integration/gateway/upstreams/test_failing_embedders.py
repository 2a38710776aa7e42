"""Embedders that fail, over gRPC: their own errors keep their names, all else is a failed upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import trustme

from citadel.vector.v1 import embedder_pb2 as pb
from citadel.vector.v1.embedder_pb2_grpc import (
    EmbedderServiceServicer,
    add_EmbedderServiceServicer_to_server,
)
from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
    Internal,
    ModelNotFound,
    Overloaded,
    TextTooLong,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.model_routes import ModelRoute, SecretFile
from hanax.gateway.models.protocols.registry import Protocols
from tests.integration.gateway.stack import free_port
from tests.integration.gateway.upstreams.asking import SOON_S, embed, failure, probe
from tests.integration.gateway.upstreams.conftest import Authority
from tests.integration.gateway.upstreams.embedders import ToldEmbedder, running_embedder, well


async def test_an_embedder_is_well_when_it_is_ready(protocols: Protocols) -> None:
    with running_embedder() as embedder:
        assert await probe(protocols, embedder.route()) == "v1"
        embedder.ready = False
        with pytest.raises(Unavailable, match="being loaded"):
            await probe(protocols, embedder.route())
        embedder.ready = True
        await asyncio.to_thread(embedder.stop)
        with pytest.raises(HanaxError) as raised:
            await probe(protocols, embedder.route(), SOON_S)
        assert isinstance(raised.value, Unavailable | DeadlineExceeded)


async def test_another_embedder_at_the_address_is_not_the_models(protocols: Protocols) -> None:
    """Addresses of pods that are gone are given to others, which may serve other models, and be well."""
    with running_embedder() as embedder:
        embedder.models = [pb.ServedModel(name=f"other-{number}", loaded=True) for number in range(9)]
        with pytest.raises(
            UpstreamFailed, match=r"serves other models than 'told': other-0, other-1"
        ) as raised:
            await probe(protocols, embedder.route())
        assert "other-8" not in raised.value.message
        # What it is called there counts.
        await probe(protocols, embedder.route().model_copy(update={"upstream_model": "other-8"}))


@pytest.mark.parametrize(
    ("address", "told"),
    [("127.0.0.1:{port}", "does not take connections"), ("no-such-host.invalid:{port}", "not known")],
)
async def test_one_that_is_away_is_told_as_any_other_server(
    protocols: Protocols, address: str, told: str
) -> None:
    place = address.format(port=free_port())
    route = ModelRoute(name="told", dimension=8, max_tokens=512, endpoints=(place,))
    error = await failure(protocols, route)
    assert type(error) is Unavailable
    assert error.message.startswith(f"embedding model 'told': {place} ")
    assert told in error.message
    assert "last error" not in error.message


@pytest.fixture
def embedder() -> Iterator[ToldEmbedder]:
    with running_embedder() as running:
        yield running


async def test_an_embedders_own_errors_keep_their_names_and_details(
    protocols: Protocols, embedder: ToldEmbedder
) -> None:
    def full(request: pb.EmbedRequest) -> pb.EmbedResponse:
        raise Overloaded("embedding model 'told' is busy", retry_after_s=1.5)

    embedder.answer = full
    error = await failure(protocols, embedder.route())
    assert type(error) is Overloaded
    assert error.details["retry_after_s"] == 1.5
    assert error.details["endpoint"] == embedder.address

    def refuses(request: pb.EmbedRequest) -> pb.EmbedResponse:
        raise TextTooLong("told: text 1 is too long", indexes=[1])

    embedder.answer = refuses
    assert (await failure(protocols, embedder.route())).details["indexes"] == [1]


@pytest.mark.parametrize("kind", [Internal, ModelNotFound])
async def test_a_defect_of_an_embedder_is_a_failed_upstream(
    protocols: Protocols, embedder: ToldEmbedder, kind: type[HanaxError]
) -> None:
    def fails(request: pb.EmbedRequest) -> pb.EmbedResponse:
        raise kind("something is not as it should be")

    embedder.answer = fails
    error = await failure(protocols, embedder.route())
    assert type(error) is UpstreamFailed
    assert error.details["retryable"] is True


async def test_vectors_of_an_embedder_are_checked(protocols: Protocols, embedder: ToldEmbedder) -> None:
    embedder.answer = lambda request: pb.EmbedResponse(dimension=5, float32_le=bytes(4 * 5 * 3))
    error = await failure(protocols, embedder.route())
    assert (error.details["expected"], error.details["got"]) == (8, 5)
    nan = np.full((3, 8), np.nan, "<f4").tobytes()
    embedder.answer = lambda request: pb.EmbedResponse(dimension=8, float32_le=nan)
    assert "not finite" in (await failure(protocols, embedder.route())).message


async def test_an_embedder_that_is_away_or_silent_is_told_apart(
    protocols: Protocols, embedder: ToldEmbedder
) -> None:
    def sleeps(request: pb.EmbedRequest) -> pb.EmbedResponse:
        embedder.wait_for_end()
        return pb.EmbedResponse()

    embedder.answer = sleeps
    assert type(await failure(protocols, embedder.route(), SOON_S)) is DeadlineExceeded
    nobody = f"127.0.0.1:{free_port()}"
    away = ModelRoute(name="told", dimension=8, max_tokens=8, endpoints=(nobody,))
    assert type(await failure(protocols, away)) is Unavailable


# --- gRPC over TLS, with a key -----------------------------------------------------------------------


class _Keyed(grpc.ServerInterceptor):
    """Takes only calls with the key."""

    def __init__(self, key: str) -> None:
        self._wanted = ("authorization", f"Bearer {key}")

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if self._wanted in handler_call_details.invocation_metadata:
            return continuation(handler_call_details)

        def refuse(request: bytes, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(handler_call_details.invocation_metadata))

        return grpc.unary_unary_rpc_method_handler(refuse)


@pytest.fixture
def secure_port(authority: Authority) -> Iterator[Callable[[trustme.CA], int]]:
    """Serves `well` over TLS with a certificate of the authority that is handed in."""
    servers: list[grpc.Server] = []

    class Well(EmbedderServiceServicer):
        def Embed(self, request: pb.EmbedRequest, context: grpc.ServicerContext) -> pb.EmbedResponse:
            return well(request)

        def Rerank(self, request: pb.RerankRequest, context: grpc.ServicerContext) -> pb.RerankResponse:
            return pb.RerankResponse()

        def ListModels(
            self, request: pb.ListModelsRequest, context: grpc.ServicerContext
        ) -> pb.ListModelsResponse:
            return pb.ListModelsResponse()

    def start(ca: trustme.CA) -> int:
        certificate = ca.issue_cert("127.0.0.1")
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
        server = grpc.server(ThreadPoolExecutor(2), interceptors=[_Keyed("sk-grpc")])
        add_EmbedderServiceServicer_to_server(Well(), server)
        servers.append(server)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        return port

    yield start
    for server in servers:
        server.stop(0).wait()


async def test_an_embedder_elsewhere_is_asked_over_tls_and_with_a_key(
    protocols: Protocols, authority: Authority, secrets_dir: Path, secure_port: Callable[[trustme.CA], int]
) -> None:
    def route(port: int) -> ModelRoute:
        return ModelRoute(
            name="told",
            dimension=8,
            max_tokens=512,
            endpoints=(f"grpcs://127.0.0.1:{port}",),
            secret=SecretFile(name="embedder", key="token"),
        )

    file = secrets_dir / "embedder" / "token"
    file.parent.mkdir(parents=True)
    file.write_text("sk-wrong")
    port = secure_port(authority.ca)
    error = await failure(protocols, route(port))
    assert type(error) is UpstreamFailed
    assert "refused our key; see secret 'embedder', key 'token'" in error.message
    assert "sk-wrong" not in error.message
    assert error.details["retryable"] is False
    file.unlink()
    file.write_text("sk-grpc")
    assert (await embed(protocols, route(port))).vectors.shape == (3, 8)
    error = await failure(protocols, route(secure_port(trustme.CA())))
    assert type(error) is UpstreamFailed
    assert "certificate" in error.message
