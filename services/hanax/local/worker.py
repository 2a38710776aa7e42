"""One service, kept running: start it, follow its health, start it again when it dies.

A start is: claim ports, open the log, spawn. Pauses between starts double up to a limit and
begin anew once the service has run well for a while, so that nothing spins and a rare crash is
mended at once. A service that fell silent after it had answered is killed, hence restarted.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from hanax.core.errors import HanaxError
from hanax.local.backoff import Backoff
from hanax.local.health import Health, Probe
from hanax.local.logfiles import bound_log, open_log
from hanax.local.ports import PortBook, PortNeed
from hanax.local.priority import let_yield
from hanax.local.state import ProcessRef, ServiceState, State

log = structlog.get_logger()


@dataclass(frozen=True)
class Launch:
    """How to start a service once its ports are known. `address` is what others are shown."""

    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    probe: Probe


@dataclass(frozen=True)
class Service:
    """`stage`: ready in ascending order, stopped in descending order. `yields`: it computes much."""

    name: str
    stage: int
    ports: tuple[PortNeed, ...]
    launch: Callable[[tuple[int, ...]], Launch]
    yields: bool = False


@dataclass(frozen=True)
class Timing:
    """All in seconds."""

    first_pause_s: float = 0.2
    longest_pause_s: float = 30.0
    # Ready for this long: the next death counts as the first.
    steady_after_s: float = 10.0
    probe_starting_s: float = 0.05
    probe_ready_s: float = 2.0
    probe_timeout_s: float = 2.0
    # A busy machine may be late with an answer: ready until it has been silent for this long.
    silent_patience_s: float = 5.0
    # Longer than any pause of a healthy service on an overloaded machine: then it is killed.
    silent_limit_s: float = 60.0
    stop_grace_s: float = 15.0


def module_command(name: str) -> tuple[str, ...]:
    """Runs a module of ours."""
    # -P: a file of the user's working directory must not stand in for it.
    return (sys.executable, "-P", "-m", name)


# Deaths in a row that make a service "failed". It is still tried again.
FAILED_AFTER = 3


class Worker:
    """Lives in the event loop. `changed` is called after each change of `state`."""

    def __init__(
        self,
        service: Service,
        book: PortBook,
        log_file: Path,
        timing: Timing,
        rng: random.Random,
        changed: Callable[[], None],
    ) -> None:
        self.service = service
        self.state = ServiceState(name=service.name)
        self.was_ready = asyncio.Event()
        self._book = book
        self._log_file = log_file
        self._timing = timing
        self._backoff = Backoff(timing.first_pause_s, timing.longest_pause_s, rng)
        self._changed = changed
        self._deaths = 0
        self._ready_since: float | None = None
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    def claim_ports(self) -> Launch:
        """Settle the ports, so that the address is known before the start.

        Raises FailedPrecondition when a fixed port is taken.
        """
        launch = self.service.launch(tuple(self._book.claim(need) for need in self.service.ports))
        self.state.address = launch.address
        return launch

    async def run(self, may_be_ready: asyncio.Event) -> None:
        """Keep the service running until `stop`. It is asked for its health once `may_be_ready`."""
        stopping = asyncio.create_task(self._stopping.wait())
        while not self._stopping.is_set():
            try:
                launch = self.claim_ports()
                process = await self._spawn(launch)
            except (HanaxError, OSError) as error:
                reason = str(error)
            else:
                exited = asyncio.create_task(process.wait())
                health = asyncio.create_task(self._follow_health(process, launch.probe, may_be_ready))
                await asyncio.wait({exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
                health.cancel()
                await asyncio.gather(health, return_exceptions=True)
                if self._stopping.is_set():
                    await self._end(exited)
                    break
                reason = _describe_exit(exited.result())
            pause = self._note_death(reason)
            await asyncio.wait({stopping}, timeout=pause)
        stopping.cancel()
        self._update(State.STOPPED, process=None)

    def stop(self) -> None:
        """Ask for the end: `run` returns when the process is gone, killed after the grace."""
        self._stopping.set()

    async def _spawn(self, launch: Launch) -> asyncio.subprocess.Process:
        bound_log(self._log_file)
        with open_log(self._log_file) as output:
            process = await asyncio.create_subprocess_exec(
                *launch.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **launch.environment, "HANAX_PARENT_PID": str(os.getpid())},
                # Not in the terminal's group: Ctrl-C is for the supervisor, which stops in order.
                start_new_session=True,
            )
        self._process = process
        if self.service.yields:
            let_yield(process.pid)
        reference = None
        with suppress(psutil.NoSuchProcess):
            reference = ProcessRef.of(process.pid)
        self.state.started_at = time.time()
        self._update(State.STARTING, process=reference)
        log.info("service started", name=self.service.name, pid=process.pid)
        return process

    async def _follow_health(
        self, process: asyncio.subprocess.Process, probe: Probe, may_be_ready: asyncio.Event
    ) -> None:
        await may_be_ready.wait()
        answered_at: float | None = None
        while True:
            health = await probe(self._timing.probe_timeout_s)
            now = time.monotonic()
            if health is not Health.SILENT:
                answered_at = now
                self._note_health(health is Health.READY, now)
            elif answered_at is not None and now - answered_at > self._timing.silent_limit_s:
                log.error("service is silent and will be killed", name=self.service.name)
                with suppress(ProcessLookupError):
                    process.kill()
                return
            elif answered_at is None or now - answered_at > self._timing.silent_patience_s:
                self._note_health(False, now)
            ready = self.state.state is State.READY
            await asyncio.sleep(self._timing.probe_ready_s if ready else self._timing.probe_starting_s)

    def _note_health(self, ready: bool, now: float) -> None:
        if ready is (self.state.state is State.READY):
            return
        self._ready_since = now if ready else None
        self.state.ready_at = time.time() if ready else None
        self._update(State.READY if ready else State.STARTING, self.state.process)
        if ready:
            self.was_ready.set()

    def _note_death(self, reason: str) -> float:
        """Return the seconds to wait before the next start."""
        steady = self._timing.steady_after_s
        if self._ready_since is not None and time.monotonic() - self._ready_since >= steady:
            self._deaths = 0
            self._backoff.reset()
        self._deaths += 1
        pause = self._backoff.next_pause()
        log.warning(
            "service died",
            name=self.service.name,
            reason=reason,
            in_a_row=self._deaths,
            pause_s=pause,
        )
        self.state.restarts += 1
        self.state.reason = reason
        self._ready_since = self.state.ready_at = None
        failed = self._deaths >= FAILED_AFTER
        self._update(State.FAILED if failed else State.RESTARTING, process=None)
        return pause

    async def _end(self, exited: asyncio.Task[int]) -> None:
        assert self._process is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            await asyncio.wait({exited}, timeout=self._timing.stop_grace_s)
            if exited.done():
                break
            log.warning("service did not end in time", name=self.service.name, sent=number.name)

    def _update(self, state: State, process: ProcessRef | None) -> None:
        self.state.state = state
        self.state.process = process
        self._changed()


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
