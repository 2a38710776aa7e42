"""Requests to a gateway, so many at once, each with its outcome and the times that the gateway tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

_REQUEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """timings_ms: by the names of Server-Timing."""

    began_s: float
    seconds: float
    status: int
    cached: bool
    timings_ms: dict[str, float]


class Client:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Outcome:
        began = time.perf_counter()
        answer = await self._http.post(path, json=body, headers=headers)
        return Outcome(
            began,
            time.perf_counter() - began,
            answer.status_code,
            bool(answer.json().get("cached")),
            _timings(answer.headers.get("server-timing", "")),
        )

    async def all(self, path: str, bodies: Iterable[dict[str, Any]], at_once: int) -> list[Outcome]:
        """Every body, `at_once` on their way at a time."""
        outcomes: list[Outcome] = []
        waiting: Iterator[dict[str, Any]] = iter(bodies)

        async def work() -> None:
            for body in waiting:
                outcomes.append(await self.post(path, body))

        await asyncio.gather(*(work() for _ in range(at_once)))
        return outcomes


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Client]:
    limits = httpx.Limits(max_connections=512)
    async with httpx.AsyncClient(base_url=url, timeout=_REQUEST_S, limits=limits) as http:
        yield Client(http)


def _timings(header: str) -> dict[str, float]:
    parts = (part.strip().partition(";dur=") for part in header.split(",") if part.strip())
    return {name: float(duration) for name, _, duration in parts}
