"""Endpoints are tried when due; what a status of HTTP means."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from hanax.core.resources.models import Model
from hanax_operator.probes import Probes, network_ask
from tests.unit.operator.samples import NOW_US, model

URL = "http://models.example:8080/v1"
OTHER = "http://other.example/v1"


def two_places(name: str = "a") -> Model:
    endpoint = {"url": URL, "protocol": "openai", "alternatives": [{"url": OTHER}]}
    return model(name, {"endpoint": endpoint})


class Endpoints:
    """`answer`: what each says, unless `answers` has its own by URL."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.answer: str | OSError = ""
        self.answers: dict[str, str | OSError] = {}
        self.probes = Probes(self._ask, lambda: self.now, lambda: NOW_US, pause_s=30.0)

    async def _ask(self, _: Model, url: str) -> str:
        self.asked.append(url)
        self.now += 0.02
        answer = self.answers.get(url, self.answer)
        if isinstance(answer, OSError):
            raise answer
        return answer


async def test_a_healthy_endpoint_is_tried_at_its_pause_and_a_failed_one_sooner() -> None:
    endpoints, one = Endpoints(), model("a")
    assert endpoints.probes.health(one) == {}
    assert await endpoints.probes.look([one]) == {"a"}
    health = endpoints.probes.health(one)[URL]
    assert health.healthy
    assert health.latency_s == pytest.approx(0.02)
    endpoints.now += 29
    assert await endpoints.probes.look([one]) == set()
    endpoints.now += 2
    endpoints.answer = ConnectionRefusedError("refused")
    assert await endpoints.probes.look([one]) == {"a"}
    failed = endpoints.probes.health(one)[URL]
    assert (failed.healthy, failed.latency_s) == (False, None)
    assert "refused" in failed.message
    endpoints.now += 6
    assert await endpoints.probes.look([one]) == {"a"}


async def test_every_alternative_is_tried_and_has_a_pause_of_its_own() -> None:
    endpoints, one = Endpoints(), two_places()
    endpoints.answers[OTHER] = ConnectionRefusedError("refused")
    assert await endpoints.probes.look([one]) == {"a"}
    found = endpoints.probes.health(one)
    assert list(found) == [URL, OTHER]
    assert (found[URL].healthy, found[OTHER].healthy) == (True, False)
    assert found[OTHER].message == f"{OTHER}: refused"
    endpoints.asked.clear()
    endpoints.now += 6
    # The one that failed alone.
    assert await endpoints.probes.look([one]) == {"a"}
    assert endpoints.asked == [OTHER]
    # What the spec does not name any more is forgotten.
    await endpoints.probes.look([model("a")])
    assert list(endpoints.probes.health(one)) == [URL]


async def test_another_address_is_tried_at_once() -> None:
    endpoints = Endpoints()
    await endpoints.probes.look([model("a")])
    moved = model("a", {"endpoint": {"url": "http://elsewhere/v1", "protocol": "openai"}})
    assert endpoints.probes.health(moved) == {}
    assert await endpoints.probes.look([moved]) == {"a"}


async def test_served_models_are_not_tried_and_gone_ones_forgotten() -> None:
    endpoints = Endpoints()
    served = model("b", {"endpoint": None, "serve": {"model": "m"}})
    assert await endpoints.probes.look([model("a"), served]) == {"a"}
    await endpoints.probes.look([])
    assert endpoints.probes.health(model("a")) == {}


@pytest.mark.parametrize(
    ("status", "problem"), [(200, ""), (204, ""), (401, ""), (403, ""), (404, "404"), (503, "503")]
)
async def test_http(status: int, problem: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        told = await network_ask(client)(model("a", {"healthCheckPath": "/healthz"}), URL)
    assert problem in told
    assert bool(told) == bool(problem)
    assert asked == ["http://models.example:8080/healthz"]


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_grpc_is_well_when_its_port_takes_a_connection() -> None:
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"grpc://127.0.0.1:{port}"
    declared = model("a", {"endpoint": {"url": url, "protocol": "grpc"}})
    async with httpx.AsyncClient() as client:
        ask = network_ask(client)
        assert await ask(declared, url) == ""
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await ask(declared, url)


@pytest.mark.parametrize(
    ("protocol", "url", "why"),
    [
        ("openai", "http://127.0.0.1:99999", "out of range"),
        ("openai", "http://[::1", "Invalid"),
        ("grpc", "grpc://127.0.0.1:99999", "out of range"),
    ],
)
async def test_an_address_that_is_none_keeps_no_other_from_being_tried(
    protocol: str, url: str, why: str
) -> None:
    """The spec's pattern lets it pass."""
    bad = model("a", {"endpoint": {"url": url, "protocol": protocol}})
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    well = f"grpc://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    good = model("b", {"endpoint": {"url": well, "protocol": "grpc"}})
    async with server, httpx.AsyncClient() as client:
        probes = Probes(network_ask(client), lambda: 0.0, lambda: NOW_US, pause_s=30.0)
        assert await probes.look([bad, good]) == {"a", "b"}
    found = probes.health(bad)[url]
    assert not found.healthy
    assert why in found.message
    assert probes.health(good)[well].healthy


async def test_a_defect_with_one_endpoint_keeps_no_other_from_being_tried() -> None:
    one = two_places()

    async def ask(_: Model, url: str) -> str:
        if url == OTHER:
            raise RuntimeError("a defect")
        return ""

    probes = Probes(ask, lambda: 0.0, lambda: NOW_US, pause_s=30.0)
    await probes.look([one])
    found = probes.health(one)
    assert (found[URL].healthy, found[OTHER].healthy) == (True, False)
    assert found[OTHER].message == f"{OTHER}: a defect"
