"""What texts that are too long cost: requests of their own, held to the rate and tried again alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hanax.core.errors import RateLimited
from hanax.core.model_routes import RequestRate
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.registry import Model, PoolLimits
from hanax.gateway.models.wanted import Made, Wanted
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.conftest import WITHIN_S
from tests.integration.gateway.upstreams.replies import Embeddings
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream

LONG = " ".join(f"word{number}" for number in range(40))
TEXTS = ["a", LONG, "b", LONG]
LIMITS = PoolLimits(inflight=8, waiting=8)


@pytest.fixture
async def short() -> AsyncIterator[UpstreamServer]:
    """A server whose model reads ten words."""
    with running_upstream(Embeddings(max_tokens=10)) as server:
        yield server


async def embed(protocols: Protocols, server: UpstreamServer, **fields: Any) -> Made:
    """Of TEXTS. fields: of the route."""
    route = route_to(server, **fields)
    pool = Pool("m", LIMITS.options(route))
    pool.follow(route.endpoints, LIMITS.options(route))
    before = server.served
    try:
        return await Model(route, protocols.of(route.protocol), pool).embed(
            TEXTS, Wanted(), time.monotonic() + WITHIN_S
        )
    finally:
        # Nothing goes to a server past the pool, and no turn is kept.
        assert (pool.endpoints[0].requests, pool.turns.inflight) == (server.served - before, 0)


async def test_each_request_that_sorts_them_out_takes_a_token_of_the_rate(
    protocols: Protocols, short: UpstreamServer
) -> None:
    """All together, by halves, and what was cut. Beyond the burst a token takes an hour: none is sent."""
    await embed(protocols, short)
    needed = short.served
    assert needed > 5
    with pytest.raises(RateLimited, match="more requests to m than its rate allows"):
        await embed(protocols, short, rate=RequestRate(per_s=1 / 3_600, burst=5))
    assert short.served - needed == 5
    await embed(protocols, short, rate=RequestRate(per_s=1 / 3_600, burst=needed))
    assert short.served == 2 * needed + 5


async def test_a_failure_in_the_midst_begins_nothing_anew(
    protocols: Protocols, short: UpstreamServer
) -> None:
    made = await embed(protocols, short)
    first, second, *others = [request.texts for request in short.requests]
    with running_upstream(Embeddings(max_tokens=10)) as server:
        server.script(behaviours.well, behaviours.status(503))
        again = await embed(protocols, server, max_attempts=3)
        assert [request.texts for request in server.requests] == [first, second, second, *others]
    assert (again.vectors == made.vectors).all()
    assert again.truncated == [1, 3]
