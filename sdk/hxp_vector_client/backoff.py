"""Whether a request is tried again, and after how long."""

from __future__ import annotations

import random

from hxp_vector_client.errors import (
    ConnectionFailed,
    IdempotencyKeyInFlight,
    Overloaded,
    RateLimited,
    Unavailable,
    VectorError,
)
from hxp_vector_client.operations import Again, Operation
from hxp_vector_client.settings import Retries


def may_repeat(error: VectorError, operation: Operation, keyed: bool) -> bool:
    """keyed: the server knows a request by its idempotency key."""
    if isinstance(error, IdempotencyKeyInFlight | Overloaded | RateLimited):
        return True
    again = operation.again is Again.FREELY or (operation.again is Again.WITH_KEY and keyed)
    if isinstance(error, ConnectionFailed):
        return not error.sent or again
    # Also what is narrower, as PartialWrite: the same request completes it.
    return again and isinstance(error, Unavailable)


class Attempts:
    """The tries of one call. `remaining_s` is told by the caller, who has the clock."""

    def __init__(self, retries: Retries, operation: Operation, keyed: bool) -> None:
        self._retries = retries
        self._operation = operation
        self._keyed = keyed
        self._made = 0

    def pause_after(self, error: VectorError, remaining_s: float) -> float | None:
        """Seconds until the next try; None: there is none.

        Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        self._made += 1
        if self._made > self._retries.attempts or not may_repeat(error, self._operation, self._keyed):
            return None
        ceiling = min(self._retries.longest_s, self._retries.base_s * 2 ** (self._made - 1))
        pause = random.uniform(0.0, ceiling) + (error.retry_after_s or 0.0)
        return pause if pause < remaining_s else None
