"""Instants of messages: microseconds since 1970 UTC."""

from __future__ import annotations

from hanax.core.errors import InvalidExpiry
from hanax.core.limits import MAX_INSTANT_US
from hanax.core.times import text_of


def read_instant(microseconds: int, where: str) -> str:
    """As over REST. Raises InvalidExpiry."""
    if not 0 < microseconds <= MAX_INSTANT_US:
        raise InvalidExpiry(
            f"{where}: expected microseconds since 1970 up to the year 9999, got {microseconds}"
        )
    return text_of(microseconds)
