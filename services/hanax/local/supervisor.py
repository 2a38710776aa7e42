"""All services together: started at once, ready stage by stage, stopped in reverse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

from hanax.local.layout import Layout
from hanax.local.logfiles import bound_log
from hanax.local.ports import PortBook
from hanax.local.state import ServiceState
from hanax.local.worker import Service, Timing, Worker

_LOG_CHECK_S = 5.0


class Supervisor:
    """`publish` is called in the event loop after every change of any service's state."""

    def __init__(
        self,
        services: Sequence[Service],
        book: PortBook,
        layout: Layout,
        timing: Timing,
        publish: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._workers = [
            Worker(service, book, layout.log_of(service.name), timing, random.Random(), publish)
            for service in sorted(services, key=lambda service: service.stage)
        ]

    def claim_ports(self) -> None:
        """Settle all addresses before anything starts. Raises FailedPrecondition."""
        for worker in self._workers:
            worker.claim_ports()

    def states(self) -> list[ServiceState]:
        return [worker.state for worker in self._workers]

    async def run(self, until: Awaitable[object]) -> None:
        """Start everything, keep it running, and when `until` is done stop it in order."""
        stages = [
            list(workers) for _, workers in groupby(self._workers, key=lambda worker: worker.service.stage)
        ]
        running: list[list[asyncio.Task[None]]] = []
        aside = [asyncio.create_task(self._bound_logs())]
        gate = asyncio.Event()
        gate.set()
        for workers in stages:
            # Started at once, because starting is mostly importing; only readiness is ordered.
            running.append([asyncio.create_task(worker.run(gate)) for worker in workers])
            following = asyncio.Event()
            aside.append(asyncio.create_task(_open_gate(gate, workers, following)))
            gate = following
        try:
            await until
        finally:
            for workers, tasks in zip(reversed(stages), reversed(running), strict=True):
                for worker in workers:
                    worker.stop()
                await asyncio.gather(*tasks)
            for task in aside:
                task.cancel()
            await asyncio.gather(*aside, return_exceptions=True)

    async def _bound_logs(self) -> None:
        while True:
            for path in self._layout.logs.glob("*.log"):
                bound_log(path)
            await asyncio.sleep(_LOG_CHECK_S)


async def _open_gate(before: asyncio.Event, workers: list[Worker], gate: asyncio.Event) -> None:
    await before.wait()
    for worker in workers:
        await worker.was_ready.wait()
    gate.set()
