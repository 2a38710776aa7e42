"""Load over endpoints that serve the same model: even, and without a failed request when one of them fails.

Real servers on real sockets, asked through the protocols' clients.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from hanax.core.errors import HanaxError
from hanax.core.model_routes import Balancing, Breaker, ModelRoute
from hanax.gateway.balancing.attempts import Attempt
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.balancing.prober import Prober
from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.models.wanted import Made, Purpose, Wanted
from hanax.rpc.channels import Channels
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.behaviours import Behaviour
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstreams
from tests.integration.waiting import until

OPTIONS = PoolOptions(
    policy="round_robin",
    breaker=Breaker(failures=5, open_s=30.0),
    rate=None,
    max_attempts=3,
    attempt_timeout_s=20.0,
    hedge_after_s=None,
    max_inflight=16,
    max_waiting=10_000,
)
PATIENCE_S = 60.0
WANTED = Wanted(purpose=Purpose.NONE)


class Client:
    """Sends requests of one text each, and keeps what failed."""

    def __init__(self, pool: Pool, protocols: Protocols, route: ModelRoute) -> None:
        self.pool = pool
        self.answered = 0
        self.failed: list[HanaxError] = []
        self._route = route
        self._embedder = protocols.of(route.protocol)

    async def probe(self, address: str, timeout_s: float) -> None:
        await self._embedder.probe(address, self._route, timeout_s)

    async def send(self, requests: int) -> None:
        """All of them, as many at once as the pool lets through."""
        await asyncio.gather(*(self._request(number) for number in range(requests)))

    async def _request(self, number: int) -> None:
        async def run(attempt: Attempt[Made]) -> Made:
            return await self.pool.run(attempt, time.monotonic() + PATIENCE_S)

        try:
            made = await self._embedder.embed(run, self._route, [f"text {number}"], WANTED)
            assert made.vectors.shape == (1, self._route.dimension)
            self.answered += 1
        except HanaxError as error:
            self.failed.append(error)


@asynccontextmanager
async def _client(servers: list[UpstreamServer], options: PoolOptions) -> AsyncIterator[Client]:
    channels = Channels()
    protocols = Protocols(channels, Secrets(None, {}), UpstreamOptions())
    route = route_to(*servers)
    pool = Pool(route.name, options, time.monotonic, random.Random(5))
    pool.follow(route.endpoints, options)
    try:
        yield Client(pool, protocols, route)
    finally:
        await protocols.close()
        await channels.close()


def _spread(servers: list[UpstreamServer]) -> float:
    """How far the load of one is from an even share, as a part of it."""
    even = sum(server.served for server in servers) / len(servers)
    return max(abs(server.served - even) for server in servers) / even


@pytest.mark.parametrize("policy", ["round_robin", "least_connections", "weighted"])
async def test_load_over_three_is_even(policy: Balancing) -> None:
    with running_upstreams(3) as servers:
        async with _client(servers, replace(OPTIONS, policy=policy)) as client:
            await client.send(300)
        assert client.failed == []
        assert sum(server.served for server in servers) == 300
        assert _spread(servers) <= 0.05


@pytest.mark.parametrize("policy", ["round_robin", "health_based"])
async def test_one_that_is_killed_costs_no_request_and_comes_back(policy: Balancing) -> None:
    options = replace(OPTIONS, policy=policy, breaker=Breaker(failures=5, open_s=PATIENCE_S))
    with running_upstreams(3) as servers:
        async with _client(servers, options) as client:
            prober = Prober(client.pool, client.probe, random.Random(5))
            prober.start()
            sending = asyncio.create_task(client.send(450))
            await until("100 answers", lambda: client.answered >= 100)
            await asyncio.to_thread(servers[0].kill)
            await sending
            assert client.failed == []
            assert client.answered == 450
            assert client.pool.status()[0].state != "closed"
            if policy != "health_based":
                assert _spread(servers[1:]) <= 0.05

            served = servers[0].served
            await asyncio.to_thread(servers[0].restart)
            # Found by a probe, long before its circuit would let a trial through by itself.
            await until("half open", lambda: client.pool.status()[0].state == "half_open")
            await client.send(100)
            assert client.failed == []
            assert client.pool.status()[0].state == "closed"
            assert servers[0].served > served
            prober.close()


async def test_the_only_endpoint_is_waited_for_where_attempts_are_not_numbered() -> None:
    options = replace(OPTIONS, max_attempts=None, breaker=Breaker(failures=5, open_s=10 * PATIENCE_S))
    with running_upstreams(1) as servers:
        async with _client(servers, options) as client:
            prober = Prober(client.pool, client.probe, random.Random(5))
            prober.start()
            await client.send(5)
            await asyncio.to_thread(servers[0].kill)
            sending = asyncio.create_task(client.send(40))
            await until("open", lambda: client.pool.status()[0].state == "open")
            await asyncio.to_thread(servers[0].restart)
            await sending
            prober.close()
        assert client.failed == []
        assert client.answered == 45


FAILURES: dict[str, Behaviour] = {
    "hangs": behaviours.hang,
    "hangs in its answer": behaviours.hang_in_body,
    "resets": behaviours.reset,
    "resets in its answer": behaviours.reset_in_body,
    "ends in its answer": behaviours.end_in_body,
    "answers 500": behaviours.status(500),
    "answers 503 and when to come again": behaviours.status(503, {"retry-after": "30"}),
    "answers 429": behaviours.status(429),
    "answers 429 and when to come again": behaviours.status(429, {"retry-after": "30"}),
    "answers that the key is wrong": behaviours.status(401),
    "answers vectors of another dimension": behaviours.wrong_dimension(3),
    "answers too few": behaviours.wrong_count(-1),
    "answers NaN": behaviours.not_finite,
    "answers JSON cut off": behaviours.cut_json,
    "answers a page": behaviours.page,
    "redirects": behaviours.redirect("http://127.0.0.1:9/"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_one_that_fails_in_any_way_costs_no_request(failure: str) -> None:
    with running_upstreams(3) as servers:
        servers[1].behave(FAILURES[failure])
        async with _client(servers, replace(OPTIONS, attempt_timeout_s=3.0)) as client:
            await client.send(90)
        assert client.failed == []
        assert client.answered == 90
        # It was found out: a third of the load would be 30.
        assert servers[1].served <= 20
        assert servers[0].served + servers[2].served >= 90


async def test_an_answer_that_does_not_come_is_asked_for_elsewhere_meanwhile() -> None:
    """Without the second request none of these would end in time."""
    with running_upstreams(2) as servers:
        servers[0].behave(behaviours.hang)
        options = replace(OPTIONS, attempt_timeout_s=None, hedge_after_s=0.05)
        async with _client(servers, options) as client:
            await client.send(10)
        assert client.failed == []
        assert servers[1].served == 10
