"""Equal texts that are asked for at the same time are embedded once, and told of as what they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from hanax.core.errors import DeadlineExceeded, TextTooLong
from hanax.core.model_routes import ModelRoute
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.cache.control import CacheControl
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedded, Embedding
from hanax.gateway.models.kept import NoCache, Row
from hanax.gateway.models.protocols.client import Run
from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.registry import Model, Models, PoolLimits
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.models.wanted import Made, Wanted
from hanax.gateway.routing import Routing
from hanax.rpc.channels import Channels

LIMITS = PoolLimits(inflight=64, waiting=64)
ROUTE = ModelRoute.model_validate(
    {"name": "m", "dimension": 1, "max_tokens": 50, "endpoints": ["a"], "protocol": "tei", "max_attempts": 1}
)


class Gated:
    """A protocol that answers when it is let to."""

    max_texts = 4
    max_tokens_per_request: int | None = None

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.open = asyncio.Event()

    async def embed(self, run: Run, model: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
        async def attempt(address: str, timeout_s: float) -> Made:
            return await self._answer(texts, timeout_s)

        return await run(attempt)

    async def _answer(self, texts: Sequence[str], timeout_s: float) -> Made:
        self.requests.append(list(texts))
        try:
            async with asyncio.timeout(timeout_s):
                await self.open.wait()
        except TimeoutError:
            raise DeadlineExceeded("no answer") from None
        if "bad" in texts:
            raise TextTooLong("too long", indexes=[texts.index("bad")])
        return Made(np.array([[len(text)] for text in texts], np.float32), [1] * len(texts), None)

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> str:
        return ""


class Aged(NoCache):
    """Keeps every text for as many seconds as it has letters."""

    async def get_many(self, model: ModelRoute, wanted: Wanted, texts: Sequence[str]) -> list[Row | None]:
        return [Row(np.zeros(1, np.float32), 1, False, False, "", float(len(text))) for text in texts]


@dataclass
class World:
    client: Gated
    embedding: Embedding
    model: Model
    metrics: Metrics

    def ask(
        self, *texts: str, control: CacheControl | None = None, seconds: float = 60.0, urgent: bool = False
    ) -> asyncio.Task[Embedded]:
        call = Call("1", time.monotonic, control or CacheControl())
        call.grant(seconds)
        return asyncio.ensure_future(
            self.embedding.embed(call, self.model, list(texts), Wanted(urgent=urgent))
        )

    def texts(self, source: str) -> float | None:
        labels = {"model": "m", "source": source}
        return self.metrics.registry.get_sample_value("vector_db_embedded_texts_total", labels)


@asynccontextmanager
async def world(cache: Callable[[], NoCache] = NoCache) -> AsyncIterator[World]:
    metrics, channels, client = Metrics(), Channels(), Gated()
    protocols = Protocols(channels, Secrets(None, {}), UpstreamOptions(4, None))
    models = Models(Routing(), protocols, LIMITS, metrics.pools, time.monotonic)
    pool = Pool("m", LIMITS.options(ROUTE))
    pool.follow(ROUTE.endpoints, LIMITS.options(ROUTE))
    try:
        yield World(client, Embedding(models, cache(), metrics, 60.0), Model(ROUTE, client, pool), metrics)
    finally:
        await protocols.close()
        await channels.close()


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_equal_texts_at_the_same_time_are_embedded_once() -> None:
    async with world() as w:
        tasks = [w.ask("one", "three") for _ in range(20)]
        # Not equal to them: other texts, and one that goes before others.
        tasks += [w.ask("three", "one"), w.ask("one", "three", urgent=True)]
        await turns()
        w.client.open.set()
        made = await asyncio.gather(*tasks)
        assert sorted(w.client.requests) == [["one", "three"], ["one", "three"], ["three", "one"]]
        assert all(one.vectors[:, 0].tolist() == [3, 5] for one in made[:20])
        # Neither was known from before; the model was given them once for each flight.
        assert all((one.fresh, one.total_tokens) == (2, 2) for one in made)
        assert (w.texts("model"), w.texts("cache")) == (6, 38)


async def test_what_is_to_be_made_anew_is_made_by_each() -> None:
    async with world() as w:
        tasks = [w.ask("one", control=CacheControl(read=False)) for _ in range(3)]
        await turns()
        w.client.open.set()
        await asyncio.gather(*tasks)
        assert len(w.client.requests) == 3


async def test_who_goes_away_hands_on_and_who_fails_fails_alone() -> None:
    async with world() as w:
        leader, second, third = (w.ask("one") for _ in range(3))
        await turns()
        leader.cancel()
        await turns()
        assert len(w.client.requests) == 2
        w.client.open.set()
        assert [(await one).fresh for one in (second, third)] == [1, 1]
        assert len(w.client.requests) == 2
        for one in [w.ask("good", "bad") for _ in range(2)]:
            with pytest.raises(TextTooLong, match="in the texts at 1") as refusal:
                await one
            assert refusal.value.details["indexes"] == [1]


async def test_nobody_waits_for_another_longer_than_it_has_time() -> None:
    async with world() as w:
        leader = w.ask("one")
        await turns()
        with pytest.raises(DeadlineExceeded, match="'m'"):
            await w.ask("one", seconds=0.05)
        assert len(w.client.requests) == 1
        w.client.open.set()
        assert (await leader).fresh == 1


async def test_vectors_that_were_kept_have_an_age_that_a_request_may_limit() -> None:
    async with world(Aged) as w:
        w.client.open.set()
        made = await w.ask("12345", "123")
        assert (made.fresh, made.age_s) == (0, 5.0)
        made = await w.ask("12345", "123", control=CacheControl(max_age_s=4))
        assert (made.fresh, made.age_s) == (1, 3.0)
        assert w.client.requests == [["12345"]]
