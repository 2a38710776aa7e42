"""What a gateway says of itself and of what it needs.

It is asked for /health, /ready, /health/database, /external/status and /metrics. Where it wants a key and
none is shown, what it keeps to itself is told as unknown.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from hanax.cli.api import Api
from hanax.cli.health.checks import Check, Status
from hanax.core.errors import (
    DatabaseUnavailable,
    HanaxError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)

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


async def check_gateway(api: Api) -> list[Check]:
    """The gateway first. Raises nothing: what does not answer is told."""
    found, latency_ms, error = await _timed(api.get("/health"))
    if error is not None:
        return [Check("gateway", "gateway", Status.UNHEALTHY, error.message, latency_ms)]
    traffic = await _traffic(api)
    status, message = Status.HEALTHY, ""
    if traffic.get("server_error_share", 0.0) > _FAULTY_SHARE:
        status = Status.DEGRADED
        message = f"{traffic['server_error_share']:.1%} of its answers since its start were faults of its own"
    details = {"version": found.get("version"), **traffic}
    return [
        Check("gateway", "gateway", status, message, latency_ms, details),
        *await _readiness(api),
        await _database(api),
        *await _models(api),
    ]


async def _readiness(api: Api) -> list[Check]:
    """The routing table, and the nodes that it names."""
    report, latency_ms, error = await _timed(api.get("/ready"))
    if error is not None:
        if not isinstance(error, Unavailable) or "routing" not in error.details:
            return [Check("routing", "gateway", Status.UNHEALTHY, error.message, latency_ms)]
        report = error.details
    checks = [_said("routing", "gateway", report["routing"], latency_ms)]
    checks += [_said(name, "node", state, None) for name, state in report["nodes"].items()]
    return checks


async def _database(api: Api) -> Check:
    told, latency_ms, error = await _timed(api.get("/health/database"))
    if error is not None:
        status = Status.UNKNOWN if _is_refusal(error) else Status.UNHEALTHY
        details = error.details if isinstance(error, DatabaseUnavailable) else {}
        return Check("database", "database", status, error.message, latency_ms, details)
    if told["status"] != _OK:
        return Check("database", "database", Status.HEALTHY, "none is configured", latency_ms)
    details = {name: value for name, value in told.items() if name != "status"}
    return Check("database", "database", Status.HEALTHY, "", latency_ms, details)


async def _models(api: Api) -> list[Check]:
    told, latency_ms, error = await _timed(api.get("/external/status"))
    if error is not None:
        status = Status.UNKNOWN if _is_refusal(error) else Status.UNHEALTHY
        return [Check("models", "model", status, error.message, latency_ms)]
    return [_model(one) for one in told["models"]]


def _model(told: dict[str, Any]) -> Check:
    failures = [
        f"{one['address']}: {one['last_failure']['message']}"
        for one in told["endpoints"]
        if one["last_failure"] is not None and one["state"] != "closed"
    ]
    latencies = [one["latency_ms"] for one in told["endpoints"] if one["latency_ms"] is not None]
    details = {
        "pattern": told["pattern"],
        "dimension": told["dimension"],
        "endpoints": len(told["endpoints"]),
        "waiting": told["waiting"],
    }
    return Check(
        told["model"],
        "model",
        _MODELS.get(told["health"], Status.UNKNOWN),
        "; ".join(failures),
        min(latencies, default=None),
        details,
    )


async def _traffic(api: Api) -> dict[str, Any]:
    """What /metrics counts since the gateway's start; empty: it does not tell."""
    try:
        text = await api.text("/metrics")
    except HanaxError:
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


def _is_refusal(error: HanaxError) -> bool:
    return isinstance(error, Unauthenticated | PermissionDenied)


async def _timed(asking: Awaitable[Any]) -> tuple[Any, float, HanaxError | None]:
    """The answer or the error, and the milliseconds until it was there."""
    began = time.perf_counter()
    try:
        found, error = await asking, None
    except HanaxError as failure:
        found, error = None, failure
    return found, round((time.perf_counter() - began) * 1e3, 2), error
