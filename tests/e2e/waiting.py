"""Waiting for what takes its time, with an end to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.5


def until(found: Callable[[], T], what: str, within_s: float = 180.0) -> T:
    """The first answer that says yes. Raises AssertionError with the last one."""
    ends = time.monotonic() + within_s
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > ends:
            raise AssertionError(f"not within {within_s:g} s: {what}; last seen: {answer!r}")
        time.sleep(_PAUSE_S)
