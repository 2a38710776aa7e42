"""Waiting in the event loop for what its other tasks bring about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LIMIT_S = 60.0


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(_LIMIT_S):
        # What is waited for is the state of a pool, which tells nobody.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def everybody_ran() -> None:
    """All that is ready has run, and what that made ready; nothing that waits for time."""
    for _ in range(100):
        await asyncio.sleep(0)
