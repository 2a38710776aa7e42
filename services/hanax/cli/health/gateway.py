"""What a gateway says of itself and of what it needs.

It is asked for /health, /ready, /health/database, /external/status and /metrics. Where it wants a key and
none is shown, what it keeps to itself is told as unknown.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from hanax.cli.health.checks import Check, Status
from hxp_vector_client import AsyncVectorClient, VectorError
from hxp_vector_client.errors import DatabaseUnavailable, PermissionDenied, Unauthenticated, Unavailable
from hxp_vector_client.models import ModelStatus, Readiness

Answer = TypeVar("Answer")

_OK: Final = "ok"
_MODELS: Final = {
    "healthy": Status.HEALTHY,
    "degraded": Status.DEGRADED,
    "unavailable": Status.UNHEALTHY,
    "unknown": Status.UNKNOWN,
}
# A gateway that answers with so many faults of its own is not well.
_FAULTY_SHARE: Final = 0.05
_ENOUGH_REQUESTS: Final = 100


async def check_gateway(client: AsyncVectorClient) -> list[Check]:
    """The gateway first. Raises nothing: what does not answer is told."""
    version, latency_ms = await _timed(client.version())
    if isinstance(version, VectorError):
        return [Check("gateway", "gateway", Status.UNHEALTHY, version.message, latency_ms)]
    traffic = await _traffic(client)
    status, message = Status.HEALTHY, ""
    if traffic.get("server_error_share", 0.0) > _FAULTY_SHARE:
        status = Status.DEGRADED
        message = f"{traffic['server_error_share']:.1%} of its answers since its start were faults of its own"
    details = {"version": version, **traffic}
    return [
        Check("gateway", "gateway", status, message, latency_ms, details),
        *await _readiness(client),
        await _database(client),
        *await _models(client),
    ]


async def _readiness(client: AsyncVectorClient) -> list[Check]:
    """The routing table, and the nodes that it names."""
    report, latency_ms = await _timed(client.ready())
    if isinstance(report, VectorError):
        if not isinstance(report, Unavailable) or "routing" not in report.details:
            return [Check("routing", "gateway", Status.UNHEALTHY, report.message, latency_ms)]
        report = Readiness.read(report.details)
    checks = [_said("routing", "gateway", report.routing, latency_ms)]
    checks += [_said(name, "node", state, None) for name, state in report.nodes.items()]
    return checks


async def _database(client: AsyncVectorClient) -> Check:
    told, latency_ms = await _timed(client.database_health())
    if isinstance(told, VectorError):
        details = told.details if isinstance(told, DatabaseUnavailable) else {}
        return Check("database", "database", _of_failure(told), told.message, latency_ms, details)
    if told.status != _OK:
        return Check("database", "database", Status.HEALTHY, "none is configured", latency_ms)
    details = told.model_dump(exclude_unset=True, exclude={"status"})
    return Check("database", "database", Status.HEALTHY, "", latency_ms, details)


async def _models(client: AsyncVectorClient) -> list[Check]:
    told, latency_ms = await _timed(client.models.status())
    if isinstance(told, VectorError):
        return [Check("models", "model", _of_failure(told), told.message, latency_ms)]
    return [_model(one) for one in told]


def _model(told: ModelStatus) -> Check:
    failures = [
        f"{one.address}: {one.last_failure['message']}"
        for one in told.endpoints
        if one.last_failure is not None and one.state != "closed"
    ]
    latencies = [round(one.latency_ms, 2) for one in told.endpoints if one.latency_ms is not None]
    details = {
        "pattern": told.pattern,
        "dimension": told.dimension,
        "endpoints": len(told.endpoints),
        "waiting": told.waiting,
    }
    return Check(
        told.model,
        "model",
        _MODELS.get(told.health, Status.UNKNOWN),
        "; ".join(failures),
        min(latencies, default=None),
        details,
    )


async def _traffic(client: AsyncVectorClient) -> dict[str, Any]:
    """What /metrics counts since the gateway's start; empty: it does not tell."""
    try:
        text = await client.metrics()
    except VectorError:
        return {}
    requests = faults = 0.0
    connections = None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "vector_db_requests_total":
                requests += sample.value
                faults += sample.value if sample.labels.get("status", "").startswith("5") else 0
            elif sample.name == "vector_db_active_connections":
                connections = int(sample.value)
    told: dict[str, Any] = {"requests": int(requests), "server_errors": int(faults)}
    if requests >= _ENOUGH_REQUESTS:
        told["server_error_share"] = faults / requests
    if connections is not None:
        told["connections"] = connections
    return told


def _said(name: str, kind: str, state: str, latency_ms: float | None) -> Check:
    if state == _OK:
        return Check(name, kind, Status.HEALTHY, "", latency_ms)
    return Check(name, kind, Status.UNHEALTHY, state, latency_ms)


def _of_failure(error: VectorError) -> Status:
    """A refusal says nothing of the part itself."""
    return Status.UNKNOWN if isinstance(error, Unauthenticated | PermissionDenied) else Status.UNHEALTHY


async def _timed(asking: Awaitable[Answer]) -> tuple[Answer | VectorError, float]:
    """The answer or the error, and the milliseconds until it was there."""
    began = time.perf_counter()
    found: Answer | VectorError
    try:
        found = await asking
    except VectorError as error:
        found = error
    return found, round((time.perf_counter() - began) * 1e3, 2)
