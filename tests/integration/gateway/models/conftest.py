"""A gateway in front of models of all patterns, on real upstream servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.processor import job_settings, running_processor
from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.replies import Embeddings
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream

DIMENSION = 8
_DIMENSIONS = {"now": DIMENSION, "mixed": DIMENSION, "later": DIMENSION, "wide": 16, "tired": DIMENSION}


@dataclass
class Outside:
    """The stack, and the server of each model: now, mixed (hybrid), later (bulk_only), wide,
    and tired, which one test leaves resting.
    """

    stack: Stack
    servers: dict[str, UpstreamServer]

    def sent(self, model: str) -> list[list[str]]:
        """The texts of each request that the model's server has had, in order of arrival."""
        return [request.texts for request in self.servers[model].requests]

    def forget(self) -> None:
        for server in self.servers.values():
            server.requests.clear()
            server.behave(behaviours.well)


@pytest.fixture(scope="package")
def _running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Outside]:
    with ExitStack() as opened:
        servers = {
            name: opened.enter_context(running_upstream(Embeddings(dimension=dimension)))
            for name, dimension in _DIMENSIONS.items()
        }
        shared: dict[str, Any] = {"external": True, "timeout_s": 10.0, "max_attempts": 3}
        routes: tuple[ModelRoute, ...] = (
            route_to(servers["now"], name="now", version="v7", max_batch_texts=10, **shared),
            route_to(servers["mixed"], name="mixed", pattern="hybrid", **shared),
            route_to(servers["later"], name="later", pattern="bulk_only", **shared),
            route_to(servers["wide"], name="wide", **shared),
            route_to(servers["tired"], name="tired", **shared),
        )
        folder = tmp_path_factory.mktemp("outside")
        stack = opened.enter_context(running_shards(folder, routes, **job_settings(folder)))
        # One job at a time: what is behind one that hangs waits.
        opened.enter_context(running_processor(stack, batch_jobs=1))
        yield Outside(stack, servers)


@pytest.fixture
def outside(_running: Outside) -> Outside:
    _running.forget()
    return _running
