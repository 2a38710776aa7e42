"""How the models are, as their endpoints' pools know it. Nobody is asked for it: pools probe on their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hanax.core.model_routes import ModelRoute
from hanax.gateway.balancing.endpoints import EndpointState
from hanax.gateway.models.registry import Model, Models

Health = Literal["healthy", "degraded", "unavailable", "unknown"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """unknown: no endpoint has been asked yet. degraded: some endpoints are not well, but not all."""

    route: ModelRoute
    health: Health
    waiting: int
    endpoints: list[EndpointState]


def model_statuses(models: Models) -> list[ModelStatus]:
    """Of every model that the routing table names. Raises Unavailable without a table."""
    return [_status(model) for model in models.all()]


def model_status(models: Models, name: str) -> ModelStatus:
    """Of one model. Raises ModelNotFound."""
    return _status(models.get(name))


def _status(model: Model) -> ModelStatus:
    endpoints = model.pool.status()
    return ModelStatus(model.route, _health(endpoints), model.pool.turns.waiting, endpoints)


def _health(endpoints: list[EndpointState]) -> Health:
    well = [_is_well(endpoint) for endpoint in endpoints]
    if all(well):
        asked = any(one.checked_at is not None or one.latency_ms is not None for one in endpoints)
        return "healthy" if asked else "unknown"
    return "degraded" if any(well) else "unavailable"


def _is_well(endpoint: EndpointState) -> bool:
    """One that failed since its latest probe, or failed that, may not be shut out yet and is not well."""
    if endpoint.state != "closed" or endpoint.resting_s > 0:
        return False
    failure = endpoint.last_failure
    return failure is None or (endpoint.checked_at is not None and failure.at < endpoint.checked_at)
