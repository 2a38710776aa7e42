"""Conditions tell since when they are what they are."""

from __future__ import annotations

from typing import Any

from hanax.core.resources.conditions import (
    Condition,
    ConditionType,
    Reason,
    condition_of,
    set_condition,
    timestamp,
)


def condition(**more: Any) -> Condition:
    given = {
        "type": ConditionType.READY,
        "status": "False",
        "reason": Reason.PODS_NOT_READY,
        "message": "0 of 2 pods are ready",
        "observed_generation": 1,
        "last_transition_time": timestamp(1_000_000),
    }
    return Condition(**(given | more))


def test_the_first_of_a_type_is_put_at_the_end() -> None:
    degraded = condition(type="Degraded")
    assert set_condition([degraded], condition()) == (degraded, condition())


def test_a_status_that_stays_keeps_its_time_whatever_else_is_new() -> None:
    later = condition(reason=Reason.SHARDS_NOT_OPEN, message="", last_transition_time=timestamp(9_000_000))
    (found,) = set_condition([condition()], later)
    assert found.last_transition_time == timestamp(1_000_000)
    assert found.reason == "ShardsNotOpen"


def test_a_status_that_changes_brings_its_time_and_keeps_its_place() -> None:
    others = condition(type="Progressing"), condition(type="Degraded")
    ready = condition(status="True", reason=Reason.SERVING, last_transition_time=timestamp(9_000_000))
    found = set_condition([others[0], condition(), others[1]], ready)
    assert found == (others[0], ready, others[1])
    assert condition_of(found, ConditionType.READY) is ready
    assert condition_of(found, "Paused") is None


def test_times_are_whole_seconds_in_utc() -> None:
    assert timestamp(1_767_323_045_999_999) == "2026-01-02T03:04:05Z"


def test_conditions_are_written_as_kubernetes_writes_them() -> None:
    assert condition().manifest() == {
        "type": "Ready",
        "status": "False",
        "reason": "PodsNotReady",
        "message": "0 of 2 pods are ready",
        "observedGeneration": 1,
        "lastTransitionTime": "1970-01-01T00:00:01Z",
    }


def test_every_reason_is_one_word() -> None:
    assert all(reason.isalnum() and reason[0].isupper() for reason in Reason)
