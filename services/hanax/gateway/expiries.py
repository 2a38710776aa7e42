"""When points that are written expire: what a user may say of it, as microseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hanax.core.errors import InvalidExpiry
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_INSTANT_US, MAX_TTL_SECONDS
from hanax.core.times import instant_of, text_of

NEVER: Final = 0


def read_expiry(point: Mapping[str, object], where: str, ttl_seconds: int | None, now_us: int) -> int:
    """When the point expires, by its own words or else after `ttl_seconds`. Raises InvalidExpiry."""
    at, life = point.get("expires_at"), point.get("ttl_seconds")
    if at is not None and life is not None:
        raise InvalidExpiry(f"{where}: expected expires_at or ttl_seconds, got both")
    if at is not None:
        return _parse_instant(at, f"{where}.expires_at", now_us)
    if life is None:
        return default_expiry(ttl_seconds, now_us)
    if type(life) is not int or not 1 <= life <= MAX_TTL_SECONDS:
        got = life if isinstance(life, int) and abs(life) < 2**64 else kind_of(life)
        raise InvalidExpiry(
            f"{where}.ttl_seconds: expected a whole number from 1 to {MAX_TTL_SECONDS}, got {got}"
        )
    return now_us + 1_000_000 * life


def default_expiry(ttl_seconds: int | None, now_us: int) -> int:
    """When a point expires that brings no time of its own."""
    return NEVER if ttl_seconds is None else now_us + 1_000_000 * ttl_seconds


def check_expiry(instant_us: int, where: str, now_us: int) -> int:
    """A moment to come, in microseconds since 1970 UTC. Raises InvalidExpiry."""
    if not 0 < instant_us <= MAX_INSTANT_US:
        raise InvalidExpiry(
            f"{where}.expires_at: expected microseconds since 1970 up to the year 9999, got {instant_us}"
        )
    if instant_us <= now_us:
        raise _passed(f"{where}.expires_at", instant_us)
    return instant_us


def read_new_expiry(value: object, now_us: int) -> int:
    """When points that are there shall expire; None: never. Raises InvalidExpiry."""
    return NEVER if value is None else _parse_instant(value, "expires_at", now_us)


def _parse_instant(value: object, name: str, now_us: int) -> int:
    """A moment to come, RFC 3339. Raises InvalidExpiry."""
    instant = instant_of(value) if isinstance(value, str) else None
    if instant is None or instant > MAX_INSTANT_US:
        got = repr(value[:60]) if isinstance(value, str) else kind_of(value)
        raise InvalidExpiry(f"{name}: expected a time like 2031-01-31T10:00:00Z, got {got}")
    if instant <= now_us:
        raise _passed(name, instant)
    return instant


def _passed(name: str, instant_us: int) -> InvalidExpiry:
    return InvalidExpiry(f"{name}: expected a time to come, {text_of(instant_us)} has passed")
