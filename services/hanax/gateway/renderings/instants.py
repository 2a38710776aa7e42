"""Instants as users see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def render_instant(microseconds: int) -> datetime:
    # Not fromtimestamp: a float loses microseconds.
    return _EPOCH + timedelta(microseconds=microseconds)


def render_if_any(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else render_instant(microseconds)
