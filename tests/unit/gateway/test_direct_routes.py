"""Endpoints that take the request alone are answered without FastAPI's routing, as they would be with it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hanax.core.errors import NotFound
from hanax.gateway.calls import Call
from hanax.gateway.rest.direct import DirectRoutes, takes_the_request_alone
from hanax.gateway.rest.errors import install_error_handlers

router = APIRouter(prefix="/api")


@router.post("/echo")
async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


@router.post("/nothing")
async def nothing(request: Request) -> Response:
    raise NotFound("there is none")


@router.get("/things/{name}")
async def thing(request: Request, name: str) -> Response:
    return PlainTextResponse(name)


@router.get("/page")
async def page(request: Request, limit: int = 3) -> Response:
    return PlainTextResponse(str(limit))


@router.get("/checked", dependencies=[Depends(lambda: None)])
async def checked(request: Request) -> Response:
    return PlainTextResponse("checked")


@router.get("/plain")
async def plain() -> Response:
    return PlainTextResponse("plain")


class Layer:
    """What the edge leaves in the scope; notes the route that was found."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["call"] = Call("an-id", time.monotonic)
        await self._app(scope, receive, send)
        FOUND.append(getattr(scope.get("route"), "path", None))


FOUND: list[str | None] = []


@asynccontextmanager
async def _client(direct: bool) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router)
    install_error_handlers(app)
    if direct:
        app.add_middleware(DirectRoutes, routes=router.routes)
    app.add_middleware(Layer)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def test_only_endpoints_that_need_nothing_else_go_straight() -> None:
    straight = {
        route.path
        for route in router.routes
        if isinstance(route, APIRoute) and takes_the_request_alone(route)
    }
    assert straight == {"/api/echo", "/api/nothing"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/echo"),
        ("POST", "/api/nothing"),
        ("GET", "/api/echo"),
        ("GET", "/api/things/a"),
        ("GET", "/api/page?limit=5"),
        ("GET", "/api/checked"),
        ("GET", "/api/plain"),
        ("POST", "/api/absent"),
    ],
)
async def test_answers_and_refusals_are_the_same(method: str, path: str) -> None:
    answers = []
    for direct in (False, True):
        async with _client(direct) as client:
            answer = await client.request(method, path, content=b"a body")
        body = answer.json() if "json" in answer.headers["content-type"] else answer.text
        if isinstance(body, dict):
            del body["processing_time_ms"]
        answers.append((answer.status_code, dict(answer.headers), body))
    (_, plain_headers, _), (_, direct_headers, _) = answers
    for headers in (plain_headers, direct_headers):
        headers.pop("content-length")
    assert answers[0] == answers[1]


async def test_the_pattern_that_was_asked_for_is_told() -> None:
    FOUND.clear()
    async with _client(direct=True) as client:
        await client.post("/api/echo", content=b"a body")
    assert FOUND == ["/api/echo"]
