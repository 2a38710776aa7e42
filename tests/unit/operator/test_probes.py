"""Endpoints are tried when due; what a status of HTTP means."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from hanax.core.resources.models import Model
from hanax_operator.probes import Probes, network_ask
from tests.unit.operator.samples import NOW_US, model


class Endpoints:
    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.answer: str | OSError = ""
        self.probes = Probes(self._ask, lambda: self.now, lambda: NOW_US, pause_s=30.0)

    async def _ask(self, asked: Model) -> str:
        self.asked.append(asked.name)
        self.now += 0.02
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


async def test_a_healthy_endpoint_is_tried_at_its_pause_and_a_failed_one_sooner() -> None:
    endpoints, one = Endpoints(), model("a")
    assert endpoints.probes.health(one) is None
    assert await endpoints.probes.look([one]) == {"a"}
    health = endpoints.probes.health(one)
    assert health is not None
    assert health.healthy
    assert health.latency_s == pytest.approx(0.02)
    endpoints.now += 29
    assert await endpoints.probes.look([one]) == set()
    endpoints.now += 2
    endpoints.answer = ConnectionRefusedError("refused")
    assert await endpoints.probes.look([one]) == {"a"}
    failed = endpoints.probes.health(one)
    assert failed is not None
    assert (failed.healthy, failed.latency_s) == (False, None)
    assert "refused" in failed.message
    endpoints.now += 6
    assert await endpoints.probes.look([one]) == {"a"}


async def test_another_address_is_tried_at_once() -> None:
    endpoints = Endpoints()
    await endpoints.probes.look([model("a")])
    moved = model("a", {"endpoint": {"url": "http://elsewhere/v1", "protocol": "openai"}})
    assert endpoints.probes.health(moved) is None
    assert await endpoints.probes.look([moved]) == {"a"}


async def test_served_models_are_not_tried_and_gone_ones_forgotten() -> None:
    endpoints = Endpoints()
    served = model("b", {"endpoint": None, "serve": {"model": "m"}})
    assert await endpoints.probes.look([model("a"), served]) == {"a"}
    await endpoints.probes.look([])
    assert endpoints.probes.health(model("a")) is None


@pytest.mark.parametrize(
    ("status", "problem"), [(200, ""), (204, ""), (401, ""), (403, ""), (404, "404"), (503, "503")]
)
async def test_http(status: int, problem: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        told = await network_ask(client)(model("a", {"healthCheckPath": "/healthz"}))
    assert problem in told
    assert bool(told) == bool(problem)
    assert asked == ["http://models.example:8080/healthz"]


async def test_grpc_is_well_when_its_port_takes_a_connection() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spec = {"endpoint": {"url": f"grpc://127.0.0.1:{port}", "protocol": "grpc"}}
    async with httpx.AsyncClient() as client:
        ask = network_ask(client)
        assert await ask(model("a", spec)) == ""
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await ask(model("a", spec))
