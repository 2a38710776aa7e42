"""The supervisor with real processes, tiny ones, and short times."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from hanax.core.errors import FailedPrecondition
from hanax.local.health import Health, http_probe
from hanax.local.layout import Layout
from hanax.local.ports import LOOPBACK, PortBook, PortNeed, join
from hanax.local.state import ServiceState, State
from hanax.local.supervisor import Supervisor
from hanax.local.worker import FAILED_AFTER, Launch, Service, Timing

_TINY = Path(__file__).with_name("tiny_service.py")

FAST = Timing(
    first_pause_s=0.05,
    longest_pause_s=0.4,
    steady_after_s=60.0,
    probe_starting_s=0.02,
    probe_ready_s=0.05,
    probe_timeout_s=0.3,
    silent_patience_s=0.3,
    silent_limit_s=1.0,
    stop_grace_s=5.0,
)


@dataclass(frozen=True)
class Event:
    at: float
    kind: str
    service: str
    pid: int


class Stage:
    """What tests look at: the states as they were published, and the services' journal."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout.at(root)
        self.layout.create()
        self.journal = root / "journal"
        self.book = PortBook({})
        self.published: list[dict[str, State]] = []
        # What services answered to the question for their health.
        self.probed: list[Health] = []
        self.supervisor: Supervisor

    def service(self, name: str, stage: int = 0, mode: str = "serve", fixed: int = 0) -> Service:
        def launch(ports: tuple[int, ...]) -> Launch:
            command = (sys.executable, str(_TINY), name, str(ports[0]), str(self.journal), mode)
            probe = http_probe(LOOPBACK, ports[0], "/ready", lambda body: body == b"ok\n")

            async def remembered(timeout_s: float) -> Health:
                self.probed.append(await probe(timeout_s))
                return self.probed[-1]

            return Launch(command, {}, join(LOOPBACK, ports[0]), remembered)

        return Service(name, stage, (PortNeed(name, fixed=fixed),), launch)

    @asynccontextmanager
    async def running(self, services: Sequence[Service], timing: Timing) -> AsyncIterator[None]:
        self.supervisor = Supervisor(services, self.book, self.layout, timing, self._publish)
        stop = asyncio.Event()
        task = asyncio.create_task(self.supervisor.run(stop.wait()))
        try:
            yield
        finally:
            stop.set()
            await task

    def state(self, name: str) -> ServiceState:
        return next(state for state in self.supervisor.states() if state.name == name)

    def pid(self, name: str) -> int:
        process = self.state(name).process
        assert process is not None
        return process.pid

    def events(self) -> list[Event]:
        if not self.journal.exists():
            return []
        fields = (line.split() for line in self.journal.read_text().splitlines())
        return [Event(float(at), kind, name, int(pid)) for at, kind, name, pid in fields]

    async def ready(self, *names: str) -> None:
        await until(lambda: all(self.state(name).state is State.READY for name in names))

    def _publish(self) -> None:
        self.published.append({state.name: state.state for state in self.supervisor.states()})


async def until(what: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_services_are_started_and_ready(stage: Stage) -> None:
    async with stage.running([stage.service("a"), stage.service("b")], FAST):
        await stage.ready("a", "b")
        assert psutil.Process(stage.pid("a")).ppid() == os.getpid()
        assert stage.state("a").restarts == 0
    assert {state.state for state in stage.supervisor.states()} == {State.STOPPED}


async def test_their_output_is_kept(stage: Stage) -> None:
    async with stage.running([stage.service("a")], FAST):
        await stage.ready("a")
    assert "GET /ready" in stage.layout.log_of("a").read_text()


async def test_a_killed_service_is_started_again(stage: Stage) -> None:
    async with stage.running([stage.service("a"), stage.service("b")], FAST):
        await stage.ready("a", "b")
        first, other = stage.pid("a"), stage.pid("b")
        os.kill(first, signal.SIGKILL)
        await until(lambda: stage.state("a").restarts == 1)
        assert stage.state("a").reason == "killed by SIGKILL"
        await stage.ready("a")
        assert stage.pid("a") != first
        assert stage.pid("b") == other
    assert {"a": State.RESTARTING, "b": State.READY} in stage.published


async def test_one_that_ends_by_itself_is_started_again_too(stage: Stage) -> None:
    async with stage.running([stage.service("a")], FAST):
        await stage.ready("a")
        os.kill(stage.pid("a"), signal.SIGTERM)
        await until(lambda: stage.state("a").restarts == 1)
        assert stage.state("a").reason == "ended with status 0"
        await stage.ready("a")


async def test_pauses_between_starts_grow_up_to_the_longest(stage: Stage) -> None:
    async with stage.running([stage.service("a", mode="crash")], FAST):
        await until(lambda: len(stage.events()) >= 6)
    starts = [event.at for event in stage.events()]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    for number, gap in enumerate(gaps[:5]):
        assert gap >= min(FAST.first_pause_s * 2**number, FAST.longest_pause_s) / 2


async def test_one_that_dies_again_and_again_is_failed_but_still_tried(stage: Stage) -> None:
    async with stage.running([stage.service("a", mode="crash")], FAST):
        await until(lambda: stage.state("a").state is State.FAILED)
        assert stage.state("a").restarts >= FAILED_AFTER
        assert stage.state("a").reason == "ended with status 3"
        await until(lambda: stage.state("a").restarts > FAILED_AFTER)


async def test_a_death_after_it_ran_well_counts_as_the_first(stage: Stage) -> None:
    timing = replace(FAST, steady_after_s=0.0)
    with capture_logs() as logs:
        await _die_often(stage, timing)
    assert not any(State.FAILED in states.values() for states in stage.published)
    pauses = [entry["pause_s"] for entry in logs if entry["event"] == "service died"]
    assert len(pauses) == FAILED_AFTER + 1
    assert max(pauses) <= timing.first_pause_s


async def _die_often(stage: Stage, timing: Timing) -> None:
    """Killed each time that it is ready, which is to run well here."""
    async with stage.running([stage.service("a")], timing):
        for deaths in range(FAILED_AFTER + 1):
            await stage.ready("a")
            os.kill(stage.pid("a"), signal.SIGKILL)
            await until(lambda deaths=deaths: stage.state("a").restarts == deaths + 1)  # type: ignore[misc]


async def test_a_silent_one_is_killed_and_started_again(stage: Stage) -> None:
    async with stage.running([stage.service("a")], FAST):
        await stage.ready("a")
        first = stage.pid("a")
        os.kill(first, signal.SIGSTOP)
        await until(lambda: stage.state("a").state is State.STARTING)
        await until(lambda: stage.state("a").restarts == 1)
        assert stage.state("a").reason == "killed by SIGKILL"
        await stage.ready("a")
        assert stage.pid("a") != first


async def test_a_short_silence_changes_nothing(stage: Stage) -> None:
    timing = replace(FAST, silent_patience_s=30.0, silent_limit_s=60.0)
    async with stage.running([stage.service("a")], timing):
        await stage.ready("a")
        published = len(stage.published)
        pid = stage.pid("a")
        os.kill(pid, signal.SIGSTOP)
        # Before it listened it was silent as well.
        before = len(stage.probed)
        await until(lambda: Health.SILENT in stage.probed[before:])
        os.kill(pid, signal.SIGCONT)
        await until(lambda: stage.probed[-1] is Health.READY)
        assert len(stage.published) == published
        assert stage.pid("a") == pid


async def test_readiness_is_ordered_though_all_start_at_once(stage: Stage) -> None:
    async with stage.running([stage.service("last", 1), stage.service("first", 0)], FAST):
        await stage.ready("first", "last")
    order = [name for states in stage.published for name, state in states.items() if state is State.READY]
    assert order[0] == "first"
    assert not any(
        states["last"] is State.READY and states["first"] is State.STARTING for states in stage.published
    )


async def test_a_later_stage_waits_for_an_earlier_one(stage: Stage) -> None:
    async with stage.running([stage.service("first", 0, "crash"), stage.service("last", 1)], FAST):
        await until(lambda: stage.state("first").state is State.FAILED)
        await until(lambda: any(event.service == "last" for event in stage.events()))
        assert stage.state("last").state is State.STARTING


async def test_they_stop_in_reverse(stage: Stage) -> None:
    services = [stage.service("a", 0), stage.service("b", 0), stage.service("c", 1)]
    async with stage.running(services, FAST):
        await stage.ready("a", "b", "c")
    stops = [event.service for event in stage.events() if event.kind == "stop"]
    assert stops[0] == "c"
    assert sorted(stops) == ["a", "b", "c"]


async def test_one_that_ignores_the_request_is_killed_after_the_grace(stage: Stage) -> None:
    timing = replace(FAST, stop_grace_s=0.3)
    async with stage.running([stage.service("a", mode="stubborn")], timing):
        await stage.ready("a")
        pid = stage.pid("a")
        began = time.monotonic()
    assert 0.3 <= time.monotonic() - began < 5
    assert not psutil.pid_exists(pid)


async def test_stopping_does_not_wait_for_a_pause(stage: Stage) -> None:
    timing = replace(FAST, first_pause_s=60.0, longest_pause_s=60.0)
    async with stage.running([stage.service("a", mode="crash")], timing):
        await until(lambda: stage.state("a").restarts == 1)
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_a_service_gets_another_port_when_its_own_is_taken(stage: Stage) -> None:
    async with stage.running([stage.service("a")], replace(FAST, first_pause_s=0.5)):
        await stage.ready("a")
        address = stage.state("a").address
        os.kill(stage.pid("a"), signal.SIGKILL)
        await until(lambda: stage.state("a").restarts == 1)
        with socket.create_server((LOOPBACK, int(address.split(":")[1]))):
            await stage.ready("a")
            assert stage.state("a").address != address


async def test_a_fixed_port_that_is_taken_is_waited_for(stage: Stage) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        services = [stage.service("a", fixed=port)]
        with pytest.raises(FailedPrecondition, match=str(port)):
            Supervisor(services, stage.book, stage.layout, FAST, lambda: None).claim_ports()
        async with stage.running(services, FAST):
            await until(lambda: stage.state("a").restarts >= 2)
            assert f"port {port}" in stage.state("a").reason
            server.close()
            await stage.ready("a")


async def test_ctrl_c_in_the_terminal_does_not_reach_services(stage: Stage) -> None:
    async with stage.running([stage.service("a")], FAST):
        await stage.ready("a")
        assert os.getpgid(stage.pid("a")) != os.getpgid(os.getpid())
