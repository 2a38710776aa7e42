"""How texts are divided into requests and put together again, whatever the protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np
import pytest

from hanax.core.errors import DeadlineExceeded, InvalidArgument, TextTooLong
from hanax.core.model_routes import ModelRoute
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedded, Embedding, joined
from hanax.gateway.models.kept import NoCache
from hanax.gateway.models.protocols.client import Run
from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.registry import Model, Models, PoolLimits
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.models.wanted import LongTexts, Made, Wanted
from hanax.gateway.routing import Routing
from hanax.rpc.channels import Channels

LIMITS = PoolLimits(inflight=64, waiting=64)


class Lengths:
    """A protocol whose vectors are the lengths of texts; a text of more than 50 characters is too long."""

    max_texts = 4
    max_tokens_per_request: int | None = None

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.now = self.at_once = 0

    async def embed(self, run: Run, model: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
        self.requests.append(list(texts))
        self.now += 1
        self.at_once = max(self.at_once, self.now)
        # Later chunks answer first: they wait for fewer turns of the event loop.
        for _ in range(100 // len(self.requests)):
            await asyncio.sleep(0)
        self.now -= 1
        long = [place for place, text in enumerate(texts) if len(text) > 50]
        if long and wanted.long_texts is LongTexts.REFUSE:
            raise TextTooLong("too long", indexes=long)
        vectors = np.array([[len(text)] for text in texts], np.float32)
        return Made(vectors, [len(text.split()) for text in texts], None, truncated=long)

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> str:
        return ""


def model_of(client: Lengths, **fields: object) -> Model:
    route = ModelRoute.model_validate(
        {"name": "m", "dimension": 1, "max_tokens": 50, "endpoints": ["a"], "protocol": "tei", **fields}
    )
    pool = Pool("m", LIMITS.options(route))
    pool.follow(route.endpoints, LIMITS.options(route))
    return Model(route, client, pool)


async def embed(
    model: Model, texts: list[str], wanted: Wanted | None = None, at_once: int | None = None
) -> Embedded:
    metrics, routing = Metrics(), Routing()
    channels = Channels()
    protocols = Protocols(channels, Secrets(None, {}), UpstreamOptions(4, None))
    models = Models(routing, protocols, LIMITS, metrics.pools, time.monotonic)
    embedding = Embedding(models, NoCache(), metrics, 60.0)
    call = Call("1", time.monotonic)
    call.grant(60.0)
    try:
        return await embedding.embed(call, model, texts, wanted or Wanted(), at_once)
    finally:
        await protocols.close()
        await channels.close()


def texts_of(count: int) -> list[str]:
    return ["x" * (number + 1) for number in range(count)]


@pytest.mark.parametrize(
    ("fields", "at_once", "sizes"),
    [
        ({}, None, [4, 4, 2]),
        ({"max_batch_texts": 3}, None, [3, 3, 3, 1]),
        # A server may be set to take more than is usual, but not one of ours.
        ({"max_batch_texts": 9}, None, [9, 1]),
        ({"max_batch_texts": 9, "protocol": "grpc"}, None, [4, 4, 2]),
        ({}, 2, [2, 2, 2, 2, 2]),
        ({"max_batch_texts": 9}, 100, [9, 1]),
    ],
)
async def test_a_request_holds_as_many_texts_as_the_model_takes(
    fields: dict[str, object], at_once: int | None, sizes: list[int]
) -> None:
    client = Lengths()
    made = await embed(model_of(client, **fields), texts_of(10), at_once=at_once)
    assert sorted(map(len, client.requests), reverse=True) == sizes
    assert made.vectors[:, 0].tolist() == list(range(1, 11))
    assert (made.tokens, made.total_tokens, made.fresh) == ([1] * 10, 10, 10)


async def test_a_request_holds_as_many_tokens_as_the_protocol_takes() -> None:
    client = Lengths()
    client.max_tokens_per_request = 10
    # By bytes, some 6 tokens each: two are too many. What no request has room for goes alone.
    texts = ["a" * 10, "b" * 10, "c" * 2, "d" * 90, "e"]
    await embed(model_of(client), texts)
    assert sorted(client.requests) == sorted([["a" * 10], ["b" * 10, "c" * 2], ["d" * 90], ["e"]])


async def test_some_chunks_are_under_way_at_once_and_no_more() -> None:
    client = Lengths()
    await embed(model_of(client, endpoints=["a", "b"]), texts_of(40))
    assert client.at_once == 4


async def test_places_are_those_of_the_texts_as_they_were_given() -> None:
    long = "word " * 20
    texts = ["a", "b", long, "c", "d", "e", long, "f"]
    made = await embed(model_of(Lengths()), texts)
    assert made.truncated == [2, 6]
    with pytest.raises(TextTooLong) as refusal:
        await embed(model_of(Lengths()), texts, Wanted(long_texts=LongTexts.REFUSE))
    assert refusal.value.details["indexes"] == [2, 6]
    assert "2, 6" in refusal.value.message
    assert "'m'" in refusal.value.message


async def test_all_texts_that_are_too_long_are_told_though_they_go_in_several_requests() -> None:
    texts = [("x" * 60 if number in (1, 3, 4, 11) else "") + str(number) for number in range(12)]
    client = Lengths()
    with pytest.raises(TextTooLong) as refusal:
        await embed(model_of(client), texts, Wanted(long_texts=LongTexts.REFUSE))
    assert refusal.value.details["indexes"] == [1, 3, 4, 11]
    assert len(client.requests) == 3


@pytest.mark.parametrize("dimensions", [2, 4_096])
async def test_more_dimensions_than_the_model_has_are_refused_before_anything_is_sent(
    dimensions: int,
) -> None:
    client = Lengths()
    with pytest.raises(InvalidArgument, match=f"'m' makes vectors of 1 numbers, got {dimensions}"):
        await embed(model_of(client), ["a"], Wanted(dimensions=dimensions))
    assert not client.requests
    await embed(model_of(client), ["a"], Wanted(dimensions=1))


async def test_a_model_that_changes_meanwhile_makes_vectors_of_one_version() -> None:
    class Changing(Lengths):
        versions: set[str]

        async def embed(self, run: Run, route: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
            self.versions.add(route.version)
            model.follow(route.of_version("new"), self)
            return await super().embed(run, route, texts, wanted)

    client = Changing()
    client.versions = set()
    model = model_of(client, version="old")
    made = await embed(model, texts_of(40))
    assert (client.versions, made.model.version) == ({"old"}, "old")


async def test_an_error_says_which_model_it_is_about() -> None:
    class Late(Lengths):
        async def embed(self, run: Run, model: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
            raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded, match="embedding model 'm': too late"):
        await embed(model_of(Late(), max_attempts=1), ["a"])


async def test_parts_are_joined_with_their_places() -> None:
    long = "word " * 20
    first = await embed(model_of(Lengths()), ["a", long])
    second = await embed(model_of(Lengths()), [long, "bb"])
    both = joined([first, second])
    assert both.vectors[:, 0].tolist() == [1, 100, 100, 2]
    assert (both.truncated, both.tokens, both.total_tokens, both.fresh) == ([1, 2], [1, 20, 20, 1], 42, 4)
