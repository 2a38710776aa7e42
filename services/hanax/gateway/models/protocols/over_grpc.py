"""The client of this project's embedders."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import grpc
import numpy as np

from citadel.vector.v1 import embedder_pb2 as pb
from citadel.vector.v1.embedder_pb2_grpc import EmbedderServiceStub
from hanax.core.errors import (
    DeadlineExceeded,
    HanaxError,
    Internal,
    MethodNotAllowed,
    NotFound,
    ResourceExhausted,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.limits import MAX_EMBED_TEXTS
from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.protocols.client import Run
from hanax.gateway.models.protocols.exchange import late
from hanax.gateway.models.protocols.failures import Server, refused_key
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.models.wanted import LongTexts, Made, Purpose, Wanted
from hanax.gateway.stubs import Stubs
from hanax.rpc.channels import Channels
from hanax.rpc.errors import error_from_call

if TYPE_CHECKING:
    from citadel.vector.v1.embedder_pb2_grpc import EmbedderServiceAsyncStub

# Models that a message names.
_NAMED: Final = 5

_PURPOSES: Final = {
    Purpose.NONE: pb.PURPOSE_UNSPECIFIED,
    Purpose.QUERY: pb.PURPOSE_QUERY,
    Purpose.DOCUMENT: pb.PURPOSE_DOCUMENT,
}
_LONG_TEXTS: Final = {
    LongTexts.TRUNCATE: pb.LONG_TEXTS_TRUNCATE,
    LongTexts.REFUSE: pb.LONG_TEXTS_REFUSE,
    LongTexts.SPLIT: pb.LONG_TEXTS_SPLIT,
}


class OverGrpc:
    """A ProtocolClient."""

    max_texts: int = MAX_EMBED_TEXTS
    max_tokens_per_request: int | None = None

    def __init__(self, channels: Channels, secrets: Secrets) -> None:
        self._secrets = secrets
        self._stubs: Stubs[EmbedderServiceAsyncStub] = Stubs(
            channels, lambda channel, _: EmbedderServiceStub(channel)
        )

    def retain(self, addresses: set[str]) -> None:
        """Forget the stubs of all other addresses."""
        self._stubs.retain(addresses)

    async def embed(self, run: Run, model: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
        request = pb.EmbedRequest(
            model=model.upstream_model or model.name,
            texts=texts,
            normalize=wanted.normalize,
            purpose=_PURPOSES[wanted.purpose],
            dimensions=wanted.dimensions or 0,
            long_texts=_LONG_TEXTS[wanted.long_texts],
            urgent=wanted.urgent,
        )

        async def attempt(address: str, timeout_s: float) -> Made:
            server, key = Server(address, model), self._key(model)
            try:
                answer = await self._stubs.get(address).Embed(
                    request, timeout=timeout_s, metadata=_metadata(model, key)
                )
            except grpc.RpcError as failure:
                raise _told(server, failure, timeout_s, key) from None
            return _made(server, answer, len(texts), wanted.dimensions or model.dimension)

        return await run(attempt)

    async def rerank(
        self, address: str, model: ModelRoute, query: str, texts: Sequence[str], timeout_s: float
    ) -> list[float]:
        """How well each text fits the query, in order: more is better."""
        server, key = Server(address, model), self._key(model)
        request = pb.RerankRequest(
            model=model.upstream_model or model.name, query=query, texts=texts, urgent=True
        )
        try:
            answer = await self._stubs.get(address).Rerank(
                request, timeout=timeout_s, metadata=_metadata(model, key)
            )
        except grpc.RpcError as failure:
            error = _told(server, failure, timeout_s, key)
            if failure.code() is grpc.StatusCode.NOT_FOUND:
                # Which models it serves is settled at its start: asking it again is of no use.
                error.details["retryable"] = False
            raise error from None
        scores = list(answer.scores)
        if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
            raise server.no_answer(f"answered no finite score of each of {len(texts)} texts")
        return scores

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> str:
        """That someone answers is not enough: the address of a pod that is gone is given to another, which
        may serve other models.
        """
        server, key = Server(address, model), self._key(model)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._stubs.get(address).ListModels(
                    pb.ListModelsRequest(), timeout=timeout_s, metadata=_metadata(model, key)
                )
        except TimeoutError:
            raise late(server, timeout_s) from None
        except grpc.RpcError as failure:
            raise _told(server, failure, timeout_s, key) from None
        name = model.upstream_model or model.name
        for served in answer.models:
            if served.name == name:
                return served.version
        others = ", ".join(served.name for served in answer.models[:_NAMED]) or "none"
        raise server.failed(UpstreamFailed, f"serves other models than {name!r}: {others}")

    def _key(self, model: ModelRoute) -> str | None:
        return None if model.secret is None else self._secrets.value(model.secret)


def _metadata(model: ModelRoute, key: str | None) -> tuple[tuple[str, str], ...] | None:
    headers = tuple((name.lower(), value) for name, value in model.headers)
    if key is not None:
        headers += (("authorization", f"Bearer {key}"),)
    return headers or None


def _told(server: Server, failure: grpc.RpcError, timeout_s: float, key: str | None) -> HanaxError:
    """An embedder's errors are ours, but what is a defect there is a failed upstream here."""
    if failure.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return server.failed(UpstreamFailed, f"answered that {refused_key(server.model)}", retryable=False)
    error = error_from_call(failure)
    if key is not None:
        error.message = error.message.replace(key, "[key]")
    if "CERTIFICATE_VERIFY_FAILED" in error.message:
        return server.failed(UpstreamFailed, "has a certificate that is not trusted", retryable=False)
    if isinstance(error, DeadlineExceeded):
        return late(server, timeout_s)
    if isinstance(error, Unavailable) and (what := _unreached(error.message)):
        return server.failed(Unavailable, what)
    # In a rollout one pod may not know a model yet that the others serve.
    if isinstance(error, Internal | NotFound):
        return server.no_answer(f"failed: {error.message}")
    if isinstance(error, MethodNotAllowed):
        return server.failed(UpstreamFailed, f"is no embedder: {error.message}", retryable=False)
    if isinstance(error, Unavailable | ResourceExhausted):
        return server.failed(type(error), f"failed: {error.message}", **error.details)
    return error


def _unreached(message: str) -> str:
    """What gRPC's own words for a server that it can't connect to mean; empty: they are of something else."""
    # One resolver's words, and the other's; below, those of one policy of addresses, and of the other.
    if message.startswith(("DNS resolution failed", "errors resolving")):
        return "has a name that is not known"
    unreached = ("failed to connect to all addresses", "connections to all backends failing")
    if message.startswith(unreached) and "ssl" not in message.lower():
        return "does not take connections"
    return ""


def _made(server: Server, answer: pb.EmbedResponse, count: int, dimension: int) -> Made:
    if len(answer.float32_le) != 4 * count * dimension:
        got = answer.dimension
        raise server.no_answer(
            f"answered vectors of {got} numbers in {len(answer.float32_le)} bytes for {count} texts; "
            f"expected {dimension} numbers each",
            expected=dimension,
            got=got,
        )
    vectors = np.frombuffer(answer.float32_le, "<f4").reshape(count, dimension)
    if not np.isfinite(vectors).all():
        raise server.no_answer("answered a vector with numbers that are not finite")
    tokens = list(answer.tokens)
    known = len(tokens) == count
    return Made(
        vectors=vectors,
        tokens=tokens if known else None,
        total_tokens=sum(tokens) if known else None,
        truncated=list(answer.truncated),
        split=list(answer.split),
        version=answer.version,
    )
