"""How a pool shares requests over its endpoints, and what it allows itself."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.model_routes import Balancing, Breaker, RequestRate


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """breaker: opens after so many failures of an endpoint in a row, for so many seconds.

    rate: attempts that may be sent; None: any number.
    max_attempts: of one request; None: what its deadline and the retry budget leave.
    attempt_timeout_s: of one attempt; None: what the deadline leaves.
    hedge_after_s: seconds without an answer after which a second endpoint is asked too; None: never.
    max_inflight, max_waiting: requests that run and that wait for it; more are refused as overloaded.
    """

    policy: Balancing
    breaker: Breaker
    rate: RequestRate | None
    max_attempts: int | None
    attempt_timeout_s: float | None
    hedge_after_s: float | None
    max_inflight: int
    max_waiting: int
