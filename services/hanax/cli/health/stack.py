"""The services of the local stack: what the supervisor says, and what they say themselves."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import httpx

from hanax.cli.health.checks import Check, Status
from hanax.cli.versions import status_address
from hanax.local.inspection import ServiceReport, inspect
from hanax.local.layout import Layout
from hanax.local.state import State, read_state

_TIMEOUT_S: Final = 5.0


async def check_stack(layout: Layout) -> list[Check]:
    """Empty where no stack runs."""
    report = await asyncio.to_thread(inspect, layout)
    if report is None:
        return []
    if not report.services:
        return [Check("supervisor", "service", Status.DEGRADED, "it has only just started")]
    return list(await asyncio.gather(*(_check(one, layout) for one in report.services)))


async def _check(one: ServiceReport, layout: Layout) -> Check:
    details: dict[str, Any] = {
        "pid": one.pid,
        "restarts": one.restarts,
        "uptime_s": None if one.uptime_s is None else round(one.uptime_s, 1),
        "memory_bytes": one.memory_bytes,
        "address": one.address,
    }
    message = ""
    if one.restarts:
        message = f"started again {one.restarts} times, last because it was {one.reason}"
    if one.state is not State.READY:
        message = f"{one.state}: {message}" if message else str(one.state)
        return Check(one.service, "service", Status.UNHEALTHY, message, None, details)
    state = read_state(layout.state_file)
    address = None if state is None else status_address(one.service, state)
    if address is None:
        return Check(one.service, "service", Status.HEALTHY, message, None, details)
    latency_ms, trouble = await _ready(address)
    status = Status.HEALTHY if trouble is None else Status.UNHEALTHY
    return Check(one.service, "service", status, trouble or message, latency_ms, details)


async def _ready(address: str) -> tuple[float, str | None]:
    """How long /ready took, and what is wrong with its answer."""
    began = time.perf_counter()
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            answer = await http.get(f"http://{address}/ready")
        trouble = None if answer.is_success else f"/ready answers {answer.status_code}"
    except httpx.TransportError as error:
        trouble = f"/ready does not answer: {str(error) or type(error).__name__}"
    return round((time.perf_counter() - began) * 1e3, 2), trouble
