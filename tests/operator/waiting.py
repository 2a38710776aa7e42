"""Waiting for what has to come true, without sleeping for luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(found: Callable[[], Awaitable[T]], what: str, within_s: float = 30.0) -> T:
    """The first answer that says yes. Raises AssertionError with the last one."""
    ends = time.monotonic() + within_s
    while True:
        answer = await found()
        if answer:
            return answer
        if time.monotonic() > ends:
            raise AssertionError(f"not within {within_s:g} s: {what}; last seen: {answer!r}")
        await asyncio.sleep(0.05)
