"""/health, /health/database, /ready and /metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

import hanax
from hanax.core.errors import DatabaseUnavailable, Unavailable
from hanax.gateway.exposition import OWN_PATH, Exposition
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.readiness import OK, Readiness
from hanax.gateway.rest.answers import answer, call_of, refuse
from hanax.gateway.rest.openapi import ERRORS
from hanax.gateway.schemas import service as service_schemas
from hanax.gateway.schemas.envelopes import Envelope
from hanax.metadata.database import DatabaseHealth
from hanax.metadata.health import HealthLook


def health_routes(readiness: Readiness, exposition: Exposition, database: HealthLook | None) -> APIRouter:
    """database: None where none is configured."""
    router = APIRouter(tags=["health"], responses=ERRORS)

    @router.get("/health", response_model=Envelope[service_schemas.Health])
    async def health(request: Request) -> Response:
        """The process is up."""
        return answer(request, {"status": "ok", "version": hanax.__version__})

    @router.get("/health/database", response_model=Envelope[service_schemas.DatabaseHealth])
    async def database_health(request: Request) -> Response:
        """Whether the metadata database answers and has the schema that is needed; else 503, and why.

        The details of the error are the fields of this answer. Searches do not need it.
        """
        if database is None:
            return answer(request, {"status": "not_configured"})
        health = await database.health()
        if health.error is None:
            return answer(request, {"status": "ok", **_render_database(health)})
        error = DatabaseUnavailable(health.error, **_render_database(health))
        return refuse(request.scope, error, {})

    @router.get("/ready", response_model=Envelope[service_schemas.Ready])
    async def ready(request: Request) -> Response:
        """Everything that requests may need answers; else 503, whose details say which part does not."""
        report = await readiness.report()
        if report.ready:
            return answer(request, asdict(report))
        waiting = [] if report.routing == OK else [f"routing: {report.routing}"]
        for kind, parts in (("node", report.nodes), ("model", report.models)):
            waiting += [f"{kind} {name} {state}" for name, state in parts.items() if state != OK]
        error = Unavailable("not ready: " + "; ".join(waiting), **asdict(report))
        # Not raised: probes of a gateway that is starting would fill the log.
        return refuse(request.scope, error, {})

    @router.get("/metrics", response_class=PlainTextResponse)
    async def scrape(request: Request) -> Response:
        """Prometheus text. Needs a key that may read every collection, unless HANAX_OPEN_METRICS is set."""
        call_of(request).caller.require_all(Scope.READ, "metrics")
        return Response(await exposition.all(), media_type=CONTENT_TYPE_LATEST)

    @router.get(OWN_PATH, include_in_schema=False)
    async def scrape_worker() -> Response:
        return Response(exposition.own(), media_type=CONTENT_TYPE_LATEST)

    return router


def _render_database(health: DatabaseHealth) -> dict[str, Any]:
    shown = asdict(health)
    latency_s = shown.pop("latency_s")
    shown["latency_ms"] = None if latency_s is None else latency_s * 1e3
    return shown
