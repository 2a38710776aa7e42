"""Waiting for what others make true: another process, thread or task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

# Longer than a cold start, shorter than a test's own limit.
DEADLINE_S = 120.0


def wait_until(what: str, ready: Callable[[], T | None], within_s: float = DEADLINE_S) -> T:
    """Poll until `ready` answers something true, and return that."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {within_s} s")


async def until(what: str, ready: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """The same, while the event loop goes on."""

    async def ask() -> object:
        return ready()

    await until_asked(what, ask, within_s=within_s)


async def until_asked(
    what: str,
    ask: Callable[[], Awaitable[T]],
    holds: Callable[[T], object] = bool,
    within_s: float = DEADLINE_S,
) -> T:
    """The first answer that `holds`, where one has to ask for it."""
    deadline = time.monotonic() + within_s
    while not holds(answer := await ask()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s; last seen: {answer!r}"
        await asyncio.sleep(0.02)
    return answer
