"""What is known of an endpoint, and what follows from it."""

from __future__ import annotations

import pytest

from hanax.core.errors import Overloaded, Unavailable
from hanax.core.model_routes import Breaker
from hanax.gateway.balancing.endpoints import Endpoint
from hanax.gateway.balancing.verdicts import judge

NOW = 50.0


def _endpoint(failures: int = 1_000) -> Endpoint:
    return Endpoint("a", 1.0, Breaker(failures=failures, open_s=10.0))


def _answer(endpoint: Endpoint, seconds: float, now: float) -> None:
    endpoint.succeed(endpoint.begin(1), now - seconds, now)


def _fail(endpoint: Endpoint, now: float) -> None:
    endpoint.fail(Unavailable("gone"), endpoint.begin(1), now)


def test_a_slow_answer_counts_at_once_and_quick_ones_lower_it_by_and_by() -> None:
    endpoint = _endpoint()
    _answer(endpoint, 0.1, NOW)
    _answer(endpoint, 2.0, NOW)
    assert endpoint.latency_s(NOW) == 2.0
    seen = [2.0]
    for step in range(1, 40):
        _answer(endpoint, 0.1, NOW + step)
        seen.append(endpoint.latency_s(NOW + step))
    assert seen == sorted(seen, reverse=True)
    assert seen[1] > 1.5
    assert seen[-1] == pytest.approx(0.1, rel=0.5)


def test_what_is_known_of_latency_fades_while_nobody_asks() -> None:
    endpoint = _endpoint()
    _answer(endpoint, 2.0, NOW)
    assert endpoint.latency_s(NOW + 60.0) < 0.01
    # What users see is what was measured.
    assert endpoint.describe(NOW + 60.0, 0.0).latency_ms == 2_000.0


def test_an_attempt_that_was_given_up_says_that_it_took_so_long() -> None:
    endpoint = _endpoint()
    _answer(endpoint, 0.1, NOW)
    endpoint.abandon(endpoint.begin(2), NOW - 3.0, NOW)
    assert endpoint.latency_s(NOW) == 3.0
    endpoint.abandon(endpoint.begin(3), NOW - 0.01, NOW)
    assert endpoint.latency_s(NOW) == 3.0
    assert endpoint.inflight == 0


def test_it_rests_as_long_as_it_asked_for_and_is_not_blamed() -> None:
    endpoint = _endpoint(failures=1)
    error = Overloaded("full", retry_after_s=7.0)
    endpoint.refuse(error, judge(error), endpoint.begin(1), NOW)
    assert not endpoint.passes(NOW + 6.9)
    assert endpoint.passes(NOW + 7.0)
    state = endpoint.describe(NOW, 1_000.0)
    assert (state.state, state.error_rate, state.resting_s) == ("closed", 0.0, 7.0)
    assert state.last_failure is not None
    assert state.last_failure.code == "overloaded"


def test_an_outlier_is_ejected_for_longer_each_time() -> None:
    endpoint = _endpoint()
    for _ in range(9):
        _fail(endpoint, NOW)
    assert not endpoint.outlying
    _fail(endpoint, NOW)
    assert endpoint.outlying
    endpoint.eject(NOW)
    assert endpoint.ejected(NOW + 9.9)
    assert not endpoint.ejected(NOW + 10.0)
    assert endpoint.passes(NOW)
    endpoint.eject(NOW)
    assert endpoint.ejected(NOW + 19.9)
    for _ in range(50):
        endpoint.eject(NOW)
    assert not endpoint.ejected(NOW + 60.0)


def test_one_that_passed_its_trial_is_judged_anew() -> None:
    endpoint = _endpoint(failures=20)
    for _ in range(20):
        _fail(endpoint, NOW)
    _answer(endpoint, 0.1, NOW + 10.0)
    assert endpoint.well(NOW + 10.0)
    _fail(endpoint, NOW + 10.0)
    assert not endpoint.outlying


def test_one_that_fails_now_and_then_is_no_outlier() -> None:
    endpoint = _endpoint()
    for number in range(1_000):
        if number % 4 == 0:
            _fail(endpoint, NOW)
        else:
            _answer(endpoint, 0.1, NOW)
        assert not endpoint.outlying
    assert endpoint.error_rate == pytest.approx(0.25, abs=0.1)


def test_two_failed_probes_in_a_row_speak_against_it_and_one_answer_for_it() -> None:
    endpoint = _endpoint()
    away = Unavailable("away")
    assert not endpoint.probed(away, NOW)
    assert not endpoint.probed(None, NOW)
    assert not endpoint.probed(away, NOW)
    assert endpoint.probed(away, NOW)
    endpoint.eject_unanswering()
    assert endpoint.describe(NOW + 1.0, 1_000.0).state == "ejected"
    assert endpoint.describe(NOW + 1.0, 1_000.0).checked_at == 999.0
    endpoint.probed(None, NOW)
    assert endpoint.well(NOW)
