"""Vectors are of the version that their embedder tells with them, whatever was declared or known before."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from citadel.vector.v1 import embedder_pb2 as pb
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import RoutingTable
from hanax.gateway.cache.embeddings import KeptEmbeddings
from hanax.gateway.cache.memory import MemoryStore
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedded, Embedding
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.registry import Model, Models, PoolLimits
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.routing import Routing
from tests.integration.gateway.upstreams.conftest import WITHIN_S
from tests.integration.gateway.upstreams.embedders import ToldEmbedder, running_embedder, well
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to


@dataclass
class World:
    """A gateway's models, with vectors kept in its memory."""

    routing: Routing
    models: Models
    embedding: Embedding
    revision: int = 0

    def declare(self, route: ModelRoute) -> None:
        self.revision += 1
        self.routing.apply(RoutingTable(revision=self.revision, models=(route,)))

    @property
    def model(self) -> Model:
        return self.models.first()

    async def embed(self, *texts: str) -> Embedded:
        call = Call("1", time.monotonic)
        call.grant(WITHIN_S)
        return await self.embedding.embed(call, self.model, texts, Wanted())


@pytest.fixture
async def world(protocols: Protocols) -> AsyncIterator[World]:
    metrics, routing = Metrics(), Routing()
    limits = PoolLimits(inflight=8, waiting=8)
    models = Models(routing, protocols, limits, metrics.pools, time.monotonic)
    store = MemoryStore(1 << 20, time.monotonic)
    kept = KeptEmbeddings(store, WITHIN_S, CacheMetrics(CollectorRegistry()), lambda: time.time_ns() // 1_000)
    yield World(routing, models, Embedding(models, kept, metrics, WITHIN_S))
    models.close()


@pytest.fixture
def embedder() -> Iterator[ToldEmbedder]:
    with running_embedder() as running:
        # What a probe finds out is one test's.
        running.models = [pb.ServedModel(name="told")]
        yield running


def becomes(embedder: ToldEmbedder, version: str) -> None:
    """Another version of the model is served there from now on."""

    def answer(request: pb.EmbedRequest) -> pb.EmbedResponse:
        told = well(request)
        told.version = version
        return told

    embedder.answer = answer


@pytest.mark.parametrize("declared", ["", "digest-of-the-declaration"])
async def test_what_was_declared_is_never_told_of_a_vector(
    world: World, embedder: ToldEmbedder, declared: str
) -> None:
    """Not of the first one either, which the model is loaded for."""
    world.declare(embedder.route().of_version(declared))
    becomes(embedder, "v1")
    made = await world.embed("one", "two")
    assert (made.versions, made.version, made.fresh) == (["v1", "v1"], "v1", 2)
    assert world.model.route.version == "v1"
    # They are found again, as what they are.
    made = await world.embed("two", "three", "one")
    assert (made.versions, made.fresh) == (["v1"] * 3, 1)
    assert [list(request.texts) for request in embedder.requests] == [["one", "two"], ["three"]]


async def test_vectors_that_were_kept_are_told_with_the_version_that_made_them(
    world: World, embedder: ToldEmbedder
) -> None:
    world.declare(embedder.route())
    becomes(embedder, "v1")
    await world.embed("one")
    becomes(embedder, "v2")
    # Nobody has heard of the new version yet.
    made = await world.embed("one", "two")
    assert (made.versions, made.version) == (["v1", "v2"], "")
    # By now: what the old one made is not found any more.
    made = await world.embed("one", "two")
    assert (made.versions, made.fresh) == (["v2", "v2"], 1)
    # What it made lies under its own name, and is found where it is served again.
    becomes(embedder, "v1")
    await world.embed("three")
    assert ((await world.embed("one")).versions, (await world.embed("one")).fresh) == (["v1"], 0)


async def test_a_probe_learns_the_version_before_any_text_is_sent(
    world: World, embedder: ToldEmbedder
) -> None:
    embedder.models = [pb.ServedModel(name="told", version="v1", loaded=True)]
    world.declare(embedder.route().of_version("declared"))
    model = world.model
    await model.pool.probe_with(model.probe)
    assert model.route.version == "v1"
    # One that was never loaded does not know its version.
    embedder.models = [pb.ServedModel(name="told")]
    await model.pool.probe_with(model.probe)
    assert model.route.version == "v1"


async def test_what_is_declared_anew_counts_more_than_what_was_told(
    world: World, embedder: ToldEmbedder
) -> None:
    world.declare(embedder.route().of_version("one"))
    becomes(embedder, "v1")
    asked_for = world.model.as_it_is()
    await world.embed("text")
    # The same model at other limits: what was told of it still holds.
    world.declare(embedder.route().of_version("one").model_copy(update={"weight": 2.0}))
    assert (world.model.route.version, world.model.route.weight) == ("v1", 2.0)
    world.declare(embedder.route().of_version("another"))
    assert world.model.route.version == "another"
    # What was asked of the one that was declared before says nothing of this one.
    world.model.learn("v1", asked_for.declared)
    assert world.model.route.version == "another"
    await world.embed("text")
    assert world.model.route.version == "v1"


async def test_where_no_version_is_told_the_declared_one_stands(
    world: World, server: UpstreamServer, embedder: ToldEmbedder
) -> None:
    """Upstreams of others tell none, nor do embedders of earlier releases."""
    for route in (route_to(server), embedder.route()):
        world.declare(route.of_version("declared"))
        made = await world.embed("text")
        assert (made.versions, world.model.route.version) == (["declared"], "declared")
