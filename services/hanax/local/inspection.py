"""How the stack is now: the supervisor's word, checked against the processes themselves."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psutil

from hanax.local.gateways import GATEWAY
from hanax.local.health import Health, grpc_probe, http_probe
from hanax.local.layout import Layout
from hanax.local.stack import BATCH
from hanax.local.state import ServiceState, StackState, State, read_state, running_supervisor

_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class ServiceReport:
    """One line of the status. `pid`, `uptime_s` and `memory_bytes` are None without a process."""

    service: str
    pid: int | None
    state: State
    restarts: int
    uptime_s: float | None
    address: str
    memory_bytes: int | None
    reason: str


@dataclass(frozen=True)
class StackReport:
    supervisor_pid: int
    api_url: str
    services: list[ServiceReport]

    @property
    def ready(self) -> bool:
        return bool(self.services) and all(one.state is State.READY for one in self.services)


def inspect(layout: Layout) -> StackReport | None:
    """Ask every service itself. None when no supervisor runs."""
    owner = running_supervisor(layout.lock_file)
    if owner is None:
        return None
    state = read_state(layout.state_file)
    if state is None or state.supervisor.pid != owner.pid:
        return StackReport(owner.pid, "", [])  # it has only just started
    return asyncio.run(_inspect(state))


async def _inspect(state: StackState) -> StackReport:
    services = await asyncio.gather(*map(_inspect_service, state.services))
    return StackReport(state.supervisor.pid, state.api_url, list(services))


async def _inspect_service(told: ServiceState) -> ServiceReport:
    process = told.process.find() if told.process is not None else None
    state = told.state
    memory = None
    if process is not None:
        try:
            memory = int(process.memory_info().rss)
        except psutil.Error:
            process = None
    if state is State.READY and (process is None or not await _answers(told)):
        state = State.STARTING if process is not None else State.RESTARTING
    return ServiceReport(
        service=told.name,
        pid=process.pid if process is not None else None,
        state=state,
        restarts=told.restarts,
        uptime_s=time.time() - told.started_at if process is not None else None,
        address=told.address,
        memory_bytes=memory,
        reason=told.reason,
    )


async def _answers(told: ServiceState) -> bool:
    host, _, port = told.address.rpartition(":")
    if told.name == BATCH or told.name.startswith(GATEWAY):
        probe = http_probe(host.strip("[]"), int(port), "/ready", lambda body: True)
    else:
        probe = grpc_probe(told.address)
    return await probe(_PROBE_TIMEOUT_S) is Health.READY
