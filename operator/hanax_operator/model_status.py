"""What a model is told about itself. Pure.

A served model is Ready when its Deployment runs nothing but pods of the current template, and one at least is
ready. A model elsewhere is Ready while one of its endpoints answers, as they were last tried; it is Degraded,
too, while others do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hanax.core.resources.conditions import Phase, Reason, timestamp
from hanax.core.resources.models import EndpointStatus, ExternalModelStatus, LastFailure, Model
from hanax.core.resources.names import COMPONENT_LABEL, EMBEDDER_COMPONENT, MODEL_LABEL
from hanax_operator.objects import Manifest
from hanax_operator.probes import Health, urls_of
from hanax_operator.problems import Problem
from hanax_operator.status import PASSING, conditions

# A change of latency below this factor is noise, and not worth a write.
_LATENCY_FACTOR = 2.0
# So old may `checkedAt` become while nothing else changes.
_CHECKED_EVERY_US = 300 * 1_000_000


@dataclass(frozen=True)
class ModelObserved:
    """health: of the endpoints elsewhere that were tried, by URL. problem: the first that needs someone."""

    health: Mapping[str, Health]
    deployment: Manifest | None
    problem: Problem | None = None


def model_status(model: Model, seen: ModelObserved, now_us: int) -> ExternalModelStatus:
    why = _verdict(model, seen)
    old = model.status
    silent = _silent(seen.health)
    notice = Problem(Reason.PAUSED, "paused: nothing is repaired or changed") if model.paused else silent
    served = model.spec.serve is not None
    workload: Mapping[str, Any] = (seen.deployment or {}).get("status") or {}
    return ExternalModelStatus(
        observed_generation=model.generation,
        phase=_phase(model, why, notice),
        conditions=conditions(
            old.conditions, model.generation, (why, notice), now_us, serving="the model answers"
        ),
        endpoints=_endpoints(model, seen.health, old, now_us),
        last_failure=_last_failure(old, seen, now_us),
        replicas=int(workload.get("replicas", 0)) if served else None,
        ready_replicas=int(workload.get("readyReplicas", 0)) if served else None,
        selector=(f"{MODEL_LABEL}={model.name},{COMPONENT_LABEL}={EMBEDDER_COMPONENT}" if served else None),
    )


def _verdict(model: Model, seen: ModelObserved) -> Problem | None:
    if model.deleting:
        return Problem(Reason.DELETING, "the model is being deleted")
    if seen.problem is not None:
        return seen.problem
    if model.spec.serve is not None:
        return _served_verdict(model, seen.deployment)
    if not seen.health:
        return Problem(Reason.RECONCILING, "no endpoint was tried yet")
    return None if any(health.healthy for health in seen.health.values()) else _silent(seen.health)


def _silent(health: Mapping[str, Health]) -> Problem | None:
    """Which endpoints do not answer, and why."""
    failed = [one.message for one in health.values() if not one.healthy]
    if not failed:
        return None
    count = f"{len(failed)} of {len(health)} endpoints do not answer: " if len(health) > 1 else ""
    return Problem.of(Reason.ENDPOINT_UNHEALTHY, count + "; ".join(failed))


def _served_verdict(model: Model, deployment: Manifest | None) -> Problem | None:
    if (
        model.spec.serve is not None
        and model.spec.serve.autoscaling is None
        and not model.spec.serve.replicas
    ):
        return Problem(Reason.SUSPENDED, "spec.serve.replicas is 0: the model is not served")
    if deployment is None:
        return Problem(Reason.RECONCILING, "the model's pods are not asked for yet")
    status = deployment.get("status") or {}
    wanted = int(deployment["spec"].get("replicas", 1))
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return Problem(Reason.RECONCILING, "the change has not reached the model's pods yet")
    if int(status.get("readyReplicas", 0)) < 1:
        return Problem(Reason.PODS_NOT_READY, f"0 of {wanted} pods are ready")
    if int(status.get("updatedReplicas", 0)) < wanted or int(status.get("replicas", 0)) > wanted:
        return Problem(Reason.ROLLING_UPDATE, "pods are being replaced")
    return None


def _phase(model: Model, why: Problem | None, notice: Problem | None) -> Phase:
    if model.deleting:
        return Phase.DELETING
    if why is None:
        is_whole = notice is None or notice.reason == Reason.PAUSED
        return Phase.READY if is_whole else Phase.DEGRADED
    if why.reason == Reason.SUSPENDED:
        return Phase.SUSPENDED
    if why.reason in PASSING:
        return Phase.PROGRESSING if model.status.conditions else Phase.PENDING
    return Phase.DEGRADED


def _endpoints(
    model: Model, health: Mapping[str, Health], old: ExternalModelStatus, now_us: int
) -> tuple[EndpointStatus, ...]:
    """As the spec orders them; without those of which nothing is known yet."""
    known = {told.url: told for told in old.endpoints}
    found = (_endpoint(url, health.get(url), known.get(url), now_us) for url in urls_of(model))
    return tuple(told for told in found if told is not None)


def _endpoint(
    url: str, health: Health | None, known: EndpointStatus | None, now_us: int
) -> EndpointStatus | None:
    if health is None or (known is not None and _says_the_same(known, health, now_us)):
        return known
    return EndpointStatus(
        url=url,
        healthy=health.healthy,
        latency_ms=None if health.latency_s is None else round(health.latency_s * 1_000, 1),
        checked_at=timestamp(health.checked_us),
    )


def _says_the_same(known: EndpointStatus, health: Health, now_us: int) -> bool:
    """Whether the status may stay as it is: else each probe would be a write."""
    if known.healthy != health.healthy or known.checked_at is None:
        return False
    if timestamp(now_us - _CHECKED_EVERY_US) > known.checked_at:
        return False
    if known.latency_ms is None or health.latency_s is None:
        return known.latency_ms is None and health.latency_s is None
    # Below a millisecond everything is the same.
    before, after = max(known.latency_ms, 1.0), max(health.latency_s * 1_000, 1.0)
    return 1 / _LATENCY_FACTOR < after / before < _LATENCY_FACTOR


def _last_failure(old: ExternalModelStatus, seen: ModelObserved, now_us: int) -> LastFailure | None:
    last, problem = old.last_failure, seen.problem or _silent(seen.health)
    if problem is None or (last and (last.reason, last.message) == (problem.reason, problem.message)):
        return last
    tried = [health.checked_us for health in seen.health.values() if not health.healthy]
    at_us = now_us if seen.problem is not None else max(tried)
    return LastFailure(reason=problem.reason, message=problem.message, time=timestamp(at_us))
