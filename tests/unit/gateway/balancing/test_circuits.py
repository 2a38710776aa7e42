"""The states of a circuit: closed, open for a time, half-open for one trial."""

from __future__ import annotations

from hanax.core.model_routes import Breaker
from hanax.gateway.balancing.circuits import Circuit

NOW = 100.0


def _open() -> Circuit:
    circuit = Circuit(Breaker(failures=3, open_s=10.0))
    for _ in range(3):
        circuit.fail(circuit.begin(), NOW)
    assert circuit.state(NOW) == "open"
    return circuit


def test_failures_in_a_row_open_it() -> None:
    circuit = Circuit(Breaker(failures=3, open_s=10.0))
    for failed in (True, True, False, True, True):
        trial = circuit.begin()
        if failed:
            circuit.fail(trial, NOW)
        else:
            circuit.succeed(trial)
    assert circuit.state(NOW) == "closed"
    circuit.fail(circuit.begin(), NOW)
    assert circuit.state(NOW) == "open"
    assert not circuit.passes(NOW + 9.9)
    assert circuit.wait_s(NOW + 4.0) == 6.0


def test_half_open_lets_one_through_at_a_time() -> None:
    circuit = _open()
    assert circuit.passes(NOW + 10.0)
    assert circuit.state(NOW + 10.0) == "half_open"
    assert circuit.begin()
    assert not circuit.passes(NOW + 10.0)


def test_a_trial_that_succeeds_closes_it_and_counts_from_zero() -> None:
    circuit = _open()
    circuit.succeed(circuit.begin())
    assert circuit.state(NOW + 10.0) == "closed"
    for _ in range(2):
        circuit.fail(circuit.begin(), NOW + 11.0)
    assert circuit.state(NOW + 11.0) == "closed"


def test_a_trial_that_fails_opens_it_for_as_long_again() -> None:
    circuit = _open()
    circuit.fail(circuit.begin(), NOW + 12.0)
    assert not circuit.passes(NOW + 21.9)
    assert circuit.passes(NOW + 22.0)
    assert circuit.opened == 2


def test_a_trial_that_nobody_waited_for_makes_room_for_another() -> None:
    circuit = _open()
    circuit.abandon(circuit.begin())
    assert circuit.state(NOW + 10.0) == "half_open"
    assert circuit.passes(NOW + 10.0)


def test_the_end_of_a_request_from_before_it_opened_says_nothing() -> None:
    circuit = Circuit(Breaker(failures=1, open_s=10.0))
    early, other = circuit.begin(), circuit.begin()
    circuit.fail(circuit.begin(), NOW)
    circuit.succeed(early)
    assert circuit.state(NOW) == "open"
    circuit.fail(other, NOW + 5.0)
    assert circuit.passes(NOW + 10.0)


def test_an_answered_probe_makes_it_half_open_at_once() -> None:
    circuit = _open()
    circuit.probed(NOW + 1.0)
    assert circuit.state(NOW + 1.0) == "half_open"
    healthy = Circuit(Breaker())
    healthy.probed(NOW)
    assert healthy.state(NOW) == "closed"
