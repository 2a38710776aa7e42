"""/health, /ready and /metrics."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import Unavailable
from hanax.gateway.metrics import Metrics
from hanax.gateway.readiness import OK, Readiness
from hanax.gateway.rest import schemas
from hanax.gateway.rest.answers import answer, call_of, refuse
from hanax.gateway.rest.openapi import ERRORS


def health_routes(readiness: Readiness, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["health"], responses=ERRORS)

    @router.get("/health", response_model=schemas.Envelope[schemas.Health])
    async def health(request: Request) -> Response:
        """The process is up."""
        return answer(request, {"status": "ok"})

    @router.get("/ready", response_model=schemas.Envelope[schemas.Ready])
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
        return refuse(call_of(request), error, request.url.path, {})

    @router.get("/metrics", response_class=Response)
    async def scrape() -> Response:
        """Prometheus text."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
