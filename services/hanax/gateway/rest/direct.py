"""Requests that go straight to their endpoint.

An endpoint that takes the request as it came, at a path without parameters, uses nothing of what FastAPI
does for it: to look for it among a hundred patterns, and to prepare parameters that it does not have, is a
third of what a search costs the gateway. What such a route declares for the OpenAPI document stays its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from hanax.core.errors import HanaxError
from hanax.gateway.rest.errors import answer_error


class DirectRoutes:
    """Innermost of the layers around the application, which gets all other requests."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, APIRoute) and takes_the_request_alone(route)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        # Where the edge looks for the pattern that was asked for.
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except HanaxError as error:
            response = answer_error(request, error, {})
        await response(scope, receive, send)


def takes_the_request_alone(route: APIRoute) -> bool:
    needs = route.dependant
    others = (
        *needs.path_params,
        *needs.query_params,
        *needs.header_params,
        *needs.cookie_params,
        *needs.body_params,
        *needs.dependencies,
    )
    return needs.request_param_name is not None and not others and not route.dependencies
