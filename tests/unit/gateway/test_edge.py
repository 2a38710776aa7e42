"""The edge on its own: defects, bodies of all requests together, ids."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hanax.gateway.guard.guard import Guard, Openness
from hanax.gateway.guard.limits import RateLimits
from hanax.gateway.metrics import Metrics
from hanax.gateway.places import Places
from hanax.gateway.rest import edge
from hanax.gateway.rest.edge import BodyLimits, Edge
from hanax.gateway.rest.entrance import Entrance


class Held:
    """A route that keeps its body until it is let go."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.go = asyncio.Event()

    async def hold(self, request: Request) -> Response:
        await request.body()
        self.read.set()
        await self.go.wait()
        return PlainTextResponse("done")


def _put_edge_around(app: Starlette, places: Places) -> None:
    """With nobody guarded."""
    guard = Guard(None, None, RateLimits(None, None, 1, time.monotonic), Openness(False, ()))
    app.add_middleware(
        Edge,
        metrics=Metrics(),
        clock=time.monotonic,
        places=places,
        limits=BodyLimits(0),
        entrance=Entrance(guard, None),
    )


async def _defect(request: Request) -> Response:
    raise ZeroDivisionError("a secret of the source")


def _client(held: Held) -> httpx.AsyncClient:
    app = Starlette(
        routes=[
            Route("/api/defect", _defect),
            Route("/api/hold", held.hold, methods=["POST"]),
        ]
    )
    _put_edge_around(app, Places(10))
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def test_a_defect_is_named_but_not_shown() -> None:
    async with _client(Held()) as client:
        answer = await client.get("/api/defect")
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("internal", "Internal")
    assert "ZeroDivisionError" in error["message"]
    assert "secret" not in answer.text
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]


async def test_bodies_of_all_requests_together_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge, "MAX_BODIES_BYTES", 1_000)
    held = Held()
    async with _client(held) as client, asyncio.TaskGroup() as running:
        first = running.create_task(client.post("/api/hold", content=b"x" * 600))
        await held.read.wait()
        refused = await client.post("/api/hold", content=b"x" * 600)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
        held.go.set()
        assert (await first).status_code == 200
        # What has ended, or was refused, holds nothing.
        assert (await client.post("/api/hold", content=b"x" * 900)).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/external/status"])
async def test_what_tells_of_health_takes_no_place(path: str) -> None:
    async def told(request: Request) -> Response:
        return PlainTextResponse("well")

    held = Held()
    app = Starlette(routes=[Route("/api/hold", held.hold, methods=["POST"]), Route(path, told)])
    _put_edge_around(app, Places(1))
    transport = httpx.ASGITransport(app)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
        asyncio.TaskGroup() as running,
    ):
        first = running.create_task(client.post("/api/hold"))
        await held.read.wait()
        assert (await client.post("/api/hold")).status_code == 429
        assert (await client.get(path)).status_code == 200
        held.go.set()
        assert (await first).status_code == 200
