"""Cross-encoders on embedders: what is asked of them, and answers that are none."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from citadel.vector.v1 import embedder_pb2 as pb
from hanax.core.errors import (
    HanaxError,
    Internal,
    ModelConflict,
    ModelNotFound,
    Overloaded,
    Unavailable,
    UpstreamFailed,
)
from hanax.core.limits import MAX_EMBED_TEXTS
from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.protocols.connections import UpstreamOptions
from hanax.gateway.models.protocols.over_grpc import OverGrpc
from hanax.gateway.models.registry import PoolLimits
from hanax.gateway.models.rerankers import Rerankers, RerankModel
from hanax.gateway.models.secrets import Secrets
from hanax.rpc.channels import Channels
from tests.integration.gateway.upstreams.embedders import ToldEmbedder, lengths, running_embedder
from tests.integration.waiting import wait_until

PATIENCE_S = 120.0


@pytest.fixture
def embedder() -> Iterator[ToldEmbedder]:
    with running_embedder() as running:
        yield running


@asynccontextmanager
async def rerankers(embedder: ToldEmbedder) -> AsyncIterator[Rerankers]:
    model = RerankModel(
        name="told", urls=(f"grpc://{embedder.address}",), protocol="embedder", model="told-there"
    )
    opened = Rerankers([model], PoolLimits(8, 8), UpstreamOptions(), None, time.monotonic)
    try:
        yield opened
    finally:
        await opened.close()


async def score(embedder: ToldEmbedder, texts: Sequence[str]) -> list[float]:
    async with rerankers(embedder) as opened:
        return await opened.score("told", "a query", texts, time.monotonic() + PATIENCE_S)


async def test_many_texts_go_in_several_requests_and_keep_their_order(embedder: ToldEmbedder) -> None:
    texts = ["x" * (number % 7 + 1) for number in range(2 * MAX_EMBED_TEXTS + 3)]
    assert await score(embedder, texts) == [float(len(text)) for text in texts]
    assert sorted(len(request.texts) for request in embedder.reranked) == [
        3,
        MAX_EMBED_TEXTS,
        MAX_EMBED_TEXTS,
    ]
    for request in embedder.reranked:
        assert (request.model, request.query, request.urgent) == ("told-there", "a query", True)


async def test_the_requests_of_one_ranking_do_not_fill_the_line(embedder: ToldEmbedder) -> None:
    """One computes while the next waits; what others ask comes between."""
    go = threading.Event()

    def held(request: pb.RerankRequest) -> Sequence[float]:
        go.wait(PATIENCE_S)
        return lengths(request)

    embedder.scores = held
    async with rerankers(embedder) as opened:
        texts, deadline = ["a"] * (6 * MAX_EMBED_TEXTS), time.monotonic() + PATIENCE_S
        ranking = asyncio.create_task(opened.score("told", "a query", texts, deadline))
        await asyncio.to_thread(wait_until, "two have come", lambda: len(embedder.reranked) >= 2)
        assert opened.pools[0].turns.inflight == 2
        go.set()
        assert len(await ranking) == len(texts)


async def test_an_embedder_that_is_busy_has_not_failed(embedder: ToldEmbedder) -> None:
    """A request has all the time of who asks: to wait in the embedder's own line is not to fail."""
    await score(embedder, ["a"])
    assert embedder.patience_s[0] > PATIENCE_S / 2


async def attempt(embedder: ToldEmbedder, texts: Sequence[str]) -> list[float]:
    """One, of those that a request may cost."""
    route = ModelRoute(name="told", dimension=1, max_tokens=1, endpoints=(embedder.address,))
    channels = Channels()
    try:
        client = OverGrpc(channels, Secrets(None, {}))
        return await client.rerank(embedder.address, route, "a query", texts, PATIENCE_S)
    finally:
        await channels.close()


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, 2.0, 3.0], [1.0, math.nan], [1.0, math.inf]])
async def test_an_answer_without_a_score_of_each_text_is_none(
    embedder: ToldEmbedder, scores: list[float]
) -> None:
    embedder.scores = lambda request: scores
    with pytest.raises(UpstreamFailed, match="answered no finite score of each of 2 texts") as failed:
        await attempt(embedder, ["a", "b"])
    assert failed.value.details["retryable"]


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (Overloaded("full", retry_after_s=30), Overloaded, True),
        (ModelNotFound("no model 'told' is served here"), UpstreamFailed, False),
        (Internal("broken"), UpstreamFailed, True),
        (ModelConflict("told makes vectors"), ModelConflict, True),
    ],
)
async def test_what_an_embedder_says_keeps_its_meaning(
    embedder: ToldEmbedder, error: HanaxError, kind: type[HanaxError], retryable: bool
) -> None:
    """retryable: where another try may be luckier, or its kind says that there is none."""

    def refuse(request: pb.RerankRequest) -> Sequence[float]:
        raise error

    embedder.scores = refuse
    with pytest.raises(kind) as failed:
        await attempt(embedder, ["a"])
    assert error.message in failed.value.message
    assert failed.value.details.get("retryable", True) is retryable


async def test_what_another_try_mends_is_tried_again(embedder: ToldEmbedder) -> None:
    failures = [Unavailable("the model is being loaded"), Overloaded("full", retry_after_s=0.05)]

    def mended(request: pb.RerankRequest) -> Sequence[float]:
        if failures:
            raise failures.pop()
        return lengths(request)

    embedder.scores = mended
    assert await score(embedder, ["a", "bc"]) == [1.0, 2.0]
    assert len(embedder.reranked) == 3
