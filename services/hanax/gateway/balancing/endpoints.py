"""One endpoint of a pool: what is under way to it, how it has answered, and whether it may be asked.

Latency is a peak EWMA, as Finagle has it: a slow answer counts at once, quick ones lower it by and by,
and it fades while nobody asks, so that one slow answer does not shut an endpoint out for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Final, Literal

from hanax.core.errors import HanaxError, UpstreamFailed
from hanax.core.model_routes import Breaker
from hanax.gateway.balancing.addresses import shown_address
from hanax.gateway.balancing.circuits import Circuit, CircuitState
from hanax.gateway.balancing.verdicts import Verdict, rest_s

# Seconds in which what is known of an endpoint's latency loses two thirds of its weight.
_LATENCY_S: Final = 10.0
# What each answer weighs in the share of failures: about the last twenty count.
_ERROR_WEIGHT: Final = 0.1
# An endpoint that fails every other request is ejected, once there are enough to say so.
_EJECT_AT: Final = 0.5
_EJECT_RESULTS: Final = 10
_EJECT_PROBES: Final = 2
# Of the first ejection; the next ones last longer, up to so many times as long.
_EJECT_S: Final = 10.0
_EJECT_TIMES: Final = 6


@dataclass(frozen=True, slots=True)
class LastFailure:
    """at: seconds since 1970 UTC."""

    code: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What is known of an endpoint.

    address: as it is shown, without its path and query.
    resting_s: seconds that it asked to be left alone, from now. latency_ms: None before the first
    answer. error_rate: 0 to 1, of the latest attempts. checked_at: the latest probe, in seconds since
    1970 UTC; None: none yet.
    """

    address: str
    weight: float
    state: CircuitState | Literal["ejected"]
    inflight: int
    latency_ms: float | None
    error_rate: float
    resting_s: float
    last_failure: LastFailure | None
    checked_at: float | None


class Endpoint:
    """Times are seconds on the pool's clock."""

    __slots__ = (
        "_answers",
        "_checked_at",
        "_ejected_until",
        "_failure",
        "_failure_at",
        "_latency_at",
        "_latency_s",
        "_probes_failed",
        "_rest_until",
        "_results",
        "_unanswering",
        "address",
        "circuit",
        "current_weight",
        "ejections",
        "error_rate",
        "failures",
        "hedges",
        "inflight",
        "requests",
        "retries",
        "shown",
        "turn",
        "weight",
    )

    def __init__(self, address: str, weight: float, breaker: Breaker) -> None:
        self.address = address
        # To people, who may not know the keys that an address holds.
        self.shown = shown_address(address)
        self.weight = weight
        self.circuit = Circuit(breaker)
        self.inflight = 0
        self.error_rate = 0.0
        # The pool's count of picks when this one was picked last; what smooth round robin keeps.
        self.turn = 0
        self.current_weight = 0.0
        # Totals: attempts, those that it failed, those that were not a request's first.
        self.requests = self.failures = self.retries = self.hedges = self.ejections = 0
        # Ejected by its probes, until one is answered.
        self._unanswering = False
        self._answers = 0
        self._results = 0
        self._probes_failed = 0
        self._ejected_until = 0.0
        self._rest_until = 0.0
        self._latency_s = 0.0
        self._latency_at = 0.0
        self._failure: HanaxError | None = None
        self._failure_at = 0.0
        self._checked_at: float | None = None

    def well(self, now: float) -> bool:
        """Nothing is known against it."""
        return self.circuit.closed and self._rest_until <= now and not self.ejected(now)

    def passes(self, now: float) -> bool:
        """Whether a request may go to it now. One that is ejected passes: others come first."""
        return self._rest_until <= now and self.circuit.passes(now)

    def ejected(self, now: float) -> bool:
        return self._unanswering or now < self._ejected_until

    def rest_s(self, now: float) -> float:
        """How long it still asks to be left alone."""
        return max(0.0, self._rest_until - now)

    @property
    def last_error(self) -> HanaxError | None:
        return self._failure

    def latency_s(self, now: float) -> float:
        """Peak EWMA of how long it takes to answer; 0 before the first answer."""
        return self._latency_s * exp((self._latency_at - now) / _LATENCY_S)

    @property
    def last_latency_s(self) -> float:
        """The same as of its last answer: it does not fade while nobody asks."""
        return self._latency_s

    def begin(self, turn: int) -> bool:
        """An attempt goes to it; whether that is the trial of a circuit that is half-open."""
        self.turn = turn
        self.inflight += 1
        self.requests += 1
        return self.circuit.begin()

    def succeed(self, trial: bool, began: float, now: float) -> None:
        self.inflight -= 1
        self._answers += 1
        self._observe(now - began, now)
        if trial:
            # Judged anew, by what it does from now on.
            self._results, self.error_rate = 0, 0.0
        self._result(0.0)
        self.circuit.succeed(trial)

    def refuse(self, error: HanaxError, verdict: Verdict, trial: bool, now: float) -> None:
        """It answered with an error."""
        self.inflight -= 1
        if (rest := rest_s(error)) > 0:
            self._rest_until = max(self._rest_until, now + rest)
        if verdict.retry:
            self._failure, self._failure_at = error, now
        self.circuit.succeed(trial)

    def fail(self, error: HanaxError, trial: bool, now: float) -> None:
        """It did not answer, or with what is no answer."""
        self.inflight -= 1
        self.failures += 1
        if (rest := rest_s(error)) > 0:
            self._rest_until = max(self._rest_until, now + rest)
        self._failure, self._failure_at = error, now
        self._result(1.0)
        self.circuit.fail(trial, now)

    def abandon(self, trial: bool, began: float, now: float) -> None:
        """Nobody waits for the answer any more. That it took so long is known all the same."""
        self.inflight -= 1
        if now - began > self.latency_s(now):
            self._observe(now - began, now)
        self.circuit.abandon(trial)

    @property
    def outlying(self) -> bool:
        """Fails so many requests, though never many in a row, that others should take them."""
        return self.circuit.closed and self._results >= _EJECT_RESULTS and self.error_rate >= _EJECT_AT

    def eject(self, now: float) -> None:
        self.ejections += 1
        self._ejected_until = now + _EJECT_S * min(self.ejections, _EJECT_TIMES)
        # Judged anew when it is back.
        self._results = 0
        self.error_rate = 0.0

    def eject_unanswering(self) -> None:
        """Until a probe is answered."""
        self.ejections += 1
        self._unanswering = True

    def probed(self, error: HanaxError | None, now: float) -> bool:
        """A probe ended; whether so many have failed in a row that it should be ejected."""
        self._checked_at = now
        if error is None:
            # One whose probes were answered while its requests failed is not well because they still are.
            if self._probes_failed or not isinstance(self._failure, UpstreamFailed):
                self.circuit.probed(now)
            self._probes_failed = 0
            self._unanswering = False
            return False
        self._probes_failed += 1
        self._failure, self._failure_at = error, now
        return self._probes_failed >= _EJECT_PROBES and not self._unanswering

    def suspected(self, now: float) -> bool:
        """Whether a probe may say something new."""
        return self._probes_failed > 0 or self.circuit.state(now) == "open"

    def describe(self, now: float, wall: float) -> EndpointState:
        """wall: what `now` is in seconds since 1970 UTC."""
        failure = None
        if self._failure is not None:
            at = wall - (now - self._failure_at)
            failure = LastFailure(self._failure.code, self._failure.message, at)
        state = self.circuit.state(now)
        return EndpointState(
            address=self.shown,
            weight=self.weight,
            state="ejected" if state == "closed" and self.ejected(now) else state,
            inflight=self.inflight,
            latency_ms=self.last_latency_s * 1_000 if self._answers else None,
            error_rate=self.error_rate,
            resting_s=self.rest_s(now),
            last_failure=failure,
            checked_at=None if self._checked_at is None else wall - (now - self._checked_at),
        )

    def _observe(self, seconds: float, now: float) -> None:
        known = self.latency_s(now)
        if seconds >= known:
            self._latency_s = seconds
        else:
            old = exp((self._latency_at - now) / _LATENCY_S)
            self._latency_s = self._latency_s * old + seconds * (1.0 - old)
        self._latency_at = now

    def _result(self, failed: float) -> None:
        self._results += 1
        self.error_rate += (failed - self.error_rate) * _ERROR_WEIGHT
