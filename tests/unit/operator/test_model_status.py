"""A model is Ready when somebody answers for it; a probe that says the same is no write."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.resources.conditions import Reason, condition_of
from hanax.core.resources.models import ExternalModelStatus, Model
from hanax_operator.model_status import ModelObserved, model_status
from hanax_operator.probes import Health
from hanax_operator.problems import Problem
from tests.unit.operator.samples import NOW_US, child, model

SERVED = {"endpoint": None, "serve": {"model": "all-MiniLM-L6-v2"}}
URL = "http://models.example:8080/v1"
WELL = {URL: Health(True, 0.040, NOW_US)}
REFUSED = {URL: Health(False, None, NOW_US, "refused")}


def deployment(**status: Any) -> dict[str, Any]:
    settled = {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1}
    return child(
        "Deployment",
        "xm-mini",
        "apps/v1",
        metadata={"generation": 1},
        spec={"replicas": 1},
        status=settled | status,
    )


def told(declared: Model, seen: ModelObserved, now_us: int = NOW_US) -> ExternalModelStatus:
    return model_status(declared, seen, now_us)


def ready(status: ExternalModelStatus) -> tuple[str, str]:
    found = condition_of(status.conditions, "Ready")
    assert found is not None
    return found.status, found.reason


@pytest.mark.parametrize(
    ("seen", "expected", "phase"),
    [
        (ModelObserved(WELL, None), ("True", "Serving"), "Ready"),
        (ModelObserved({}, None), ("False", "Reconciling"), "Pending"),
        (ModelObserved(REFUSED, None), ("False", "EndpointUnhealthy"), "Degraded"),
        (
            ModelObserved(WELL, None, Problem(Reason.SECRET_MISSING, "no")),
            ("False", "SecretMissing"),
            "Degraded",
        ),
    ],
)
def test_a_model_elsewhere(seen: ModelObserved, expected: tuple[str, str], phase: str) -> None:
    status = told(model(), seen)
    assert (ready(status), status.phase) == (expected, phase)
    assert status.selector is None


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (None, ("False", "Reconciling")),
        (deployment(), ("True", "Serving")),
        (deployment(readyReplicas=0), ("False", "PodsNotReady")),
        (deployment(updatedReplicas=0), ("False", "RollingUpdate")),
        (deployment(replicas=2), ("False", "RollingUpdate")),
        (deployment(observedGeneration=0), ("False", "Reconciling")),
    ],
)
def test_a_served_model(workload: dict[str, Any] | None, expected: tuple[str, str]) -> None:
    status = told(model(spec=SERVED), ModelObserved({}, workload))
    assert ready(status) == expected
    assert status.endpoints == ()


def test_a_served_model_without_replicas_is_suspended() -> None:
    spec = {"endpoint": None, "serve": {"model": "m", "replicas": 0}}
    status = told(model(spec=spec), ModelObserved({}, deployment()))
    assert (ready(status), status.phase) == (("False", "Suspended"), "Suspended")


OTHER, THIRD = "http://b.example/v1", "http://c.example/v1"
PLACES = {
    "endpoint": {"url": URL, "protocol": "openai", "alternatives": [{"url": OTHER}, {"url": THIRD}]},
}


def degraded(status: ExternalModelStatus) -> tuple[str, str, str]:
    found = condition_of(status.conditions, "Degraded")
    assert found is not None
    return found.status, found.reason, found.message


def tried(*healthy: bool) -> dict[str, Health]:
    """The first of the places, as many as are given."""
    return {
        url: Health(well, 0.04 if well else None, NOW_US, "" if well else f"{url}: refused")
        for url, well in zip((URL, OTHER, THIRD), healthy, strict=False)
    }


def test_a_model_is_ready_while_one_of_its_endpoints_answers_and_names_those_that_do_not() -> None:
    status = told(model(spec=PLACES), ModelObserved(tried(False, True, False), None))
    assert (ready(status), status.phase) == (("True", "Serving"), "Degraded")
    message = f"2 of 3 endpoints do not answer: {URL}: refused; {THIRD}: refused"
    assert degraded(status) == ("True", "EndpointUnhealthy", message)
    assert [(one.url, one.healthy) for one in status.endpoints] == [
        (URL, False),
        (OTHER, True),
        (THIRD, False),
    ]
    assert status.last_failure is not None
    assert status.last_failure.message == message
    nobody = told(model(spec=PLACES), ModelObserved(tried(False, False, False), None))
    assert (ready(nobody), nobody.phase) == (("False", "EndpointUnhealthy"), "Degraded")
    assert degraded(nobody)[2].startswith("3 of 3 endpoints do not answer")
    all_well = told(
        model(spec=PLACES, status=nobody.manifest()), ModelObserved(tried(True, True, True), None)
    )
    assert (ready(all_well), all_well.phase) == (("True", "Serving"), "Ready")
    assert degraded(all_well)[0] == "False"


def test_an_endpoint_that_is_new_in_the_spec_is_told_once_it_was_tried() -> None:
    first = told(model(spec=PLACES), ModelObserved(tried(True, False), None))
    assert [one.url for one in first.endpoints] == [URL, OTHER]
    # What was known stays until it is tried again, and what is not in the spec goes.
    again = told(model(spec=PLACES, status=first.manifest()), ModelObserved({}, None))
    assert again.endpoints == first.endpoints
    fewer = told(model(status=first.manifest()), ModelObserved(tried(True), None))
    assert [one.url for one in fewer.endpoints] == [URL]


def test_probes_that_say_the_same_change_nothing_for_a_while() -> None:
    first = told(model(), ModelObserved(WELL, None))
    again = model(status=first.manifest())
    a_little_slower = {URL: Health(True, 0.070, NOW_US + 60_000_000)}
    assert told(again, ModelObserved(a_little_slower, None), NOW_US + 60_000_000) == first
    much_slower = {URL: Health(True, 0.500, NOW_US + 60_000_000)}
    assert told(again, ModelObserved(much_slower, None), NOW_US).endpoints[0].latency_ms == 500.0
    later = NOW_US + 301_000_000
    assert told(again, ModelObserved({URL: Health(True, 0.040, later)}, None), later) != first


def test_the_last_failure_stays_told_after_it_passed() -> None:
    failed = told(model(), ModelObserved(REFUSED, None))
    assert failed.last_failure is not None
    assert (failed.last_failure.reason, failed.last_failure.message) == ("EndpointUnhealthy", "refused")
    again = told(model(status=failed.manifest()), ModelObserved(WELL, None), NOW_US + 1_000_000)
    assert again.last_failure == failed.last_failure
    assert ready(again) == ("True", "Serving")
    # The same failure is not told again with a newer time.
    same = {URL: Health(False, None, NOW_US + 5_000_000, "refused")}
    assert told(model(status=failed.manifest()), ModelObserved(same, None), NOW_US) == failed


def test_paused_says_so() -> None:
    declared = model(annotations={"vector.citadel-ai.com/paused": "true"})
    progressing = condition_of(told(declared, ModelObserved(WELL, None)).conditions, "Progressing")
    assert progressing is not None
    assert progressing.reason == "Paused"
