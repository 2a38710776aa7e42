"""Maintenance threads: order, delay, retries, end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from hanax.core.errors import Cancelled, StorageFull
from hanax.engine.shard import background as module
from hanax.engine.shard.background import Background, Job
from tests.unit.engine.rigs import DEADLINE_S, wait_until


@pytest.fixture
def background() -> Iterator[Background]:
    background = Background(1)
    yield background
    background.close()


def test_jobs_run_in_the_order_they_are_due(background: Background) -> None:
    ran: list[str] = []
    gate = threading.Event()
    background.submit(lambda: assert_set(gate))
    background.submit(lambda: ran.append("late"), 0.06)
    background.submit(lambda: ran.append("soon"), 0.02)
    background.submit(lambda: ran.append("first"))
    background.submit(lambda: ran.append("second"))
    gate.set()
    wait_until("all have run", lambda: len(ran) == 4)
    assert ran == ["first", "second", "soon", "late"]


def assert_set(event: threading.Event) -> None:
    assert event.wait(DEADLINE_S)


def test_a_delay_is_kept(background: Background) -> None:
    asked = time.monotonic()
    ran: list[float] = []
    background.submit(lambda: ran.append(time.monotonic()), 0.05)
    wait_until("it has run", lambda: ran)
    assert ran[0] - asked >= 0.05


def test_a_job_that_fails_ends_no_thread(background: Background) -> None:
    ran = threading.Event()

    def fail() -> None:
        raise ValueError("a defect")

    background.submit(fail)
    background.submit(ran.set)
    assert ran.wait(DEADLINE_S)


def test_close_drops_what_waits_and_waits_for_what_runs() -> None:
    background = Background(2)
    begun, gate = threading.Event(), threading.Event()
    ran: list[str] = []

    def slow() -> None:
        begun.set()
        assert_set(gate)
        ran.append("slow")

    background.submit(slow)
    background.submit(lambda: ran.append("never"), 3_600)
    assert begun.wait(DEADLINE_S)
    closing = threading.Thread(target=background.close)
    closing.start()
    wait_until("it is closing", lambda: background._closed)
    assert closing.is_alive()
    gate.set()
    closing.join(DEADLINE_S)
    assert ran == ["slow"]
    background.submit(lambda: ran.append("refused"))
    background.close()
    assert ran == ["slow"]


def test_long_jobs_leave_a_thread_to_the_others() -> None:
    background = Background(3)
    gate, begun = threading.Event(), [threading.Event() for _ in range(3)]
    ran: list[str] = []

    def long(number: int) -> None:
        begun[number].set()
        assert_set(gate)
        ran.append("long")

    for number in range(3):
        background.submit(partial(long, number), long=True)
    assert begun[0].wait(DEADLINE_S)
    assert begun[1].wait(DEADLINE_S)
    for _ in range(5):
        short = threading.Event()
        background.submit(short.set)
        assert short.wait(DEADLINE_S)
    assert not begun[2].is_set()
    gate.set()
    wait_until("all long ones have run", lambda: len(ran) == 3)
    background.close()


def test_one_thread_runs_long_jobs_as_well(background: Background) -> None:
    ran: list[str] = []
    background.submit(lambda: ran.append("long"), long=True)
    background.submit(lambda: ran.append("short"))
    wait_until("both have run", lambda: len(ran) == 2)
    assert ran == ["long", "short"]


class Work:
    """Counts its runs. Each run does what the next of `steps` says."""

    def __init__(self, *steps: bool | Exception) -> None:
        self.steps = list(steps)
        self.runs = 0
        self.running = 0
        self.most = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> bool:
        self.running += 1
        self.most = max(self.most, self.running)
        self.runs += 1
        try:
            assert_set(self.gate)
            step = self.steps.pop(0) if self.steps else False
            if isinstance(step, Exception):
                raise step
            return step
        finally:
            self.running -= 1


def test_a_job_goes_on_while_there_is_more_to_do(background: Background) -> None:
    work = Work(True, True, False)
    job = Job(background, "test", work)
    job.ask()
    wait_until("three runs", lambda: work.runs == 3)
    job.ask()
    wait_until("one more", lambda: work.runs == 4)


def test_asking_while_it_runs_makes_it_run_again_and_never_twice_at_once() -> None:
    background = Background(3)
    work = Work()
    work.gate.clear()
    job = Job(background, "test", work)
    job.ask()
    wait_until("it runs", lambda: work.running == 1)
    for _ in range(10):
        job.ask()
    work.gate.set()
    wait_until("it ran again", lambda: work.runs == 2 and not job._active)
    assert work.most == 1
    background.close()
    assert work.runs == 2


@pytest.mark.parametrize(
    "error", [StorageFull("full"), OSError(5, "broken"), MemoryError(), KeyError("defect")]
)
def test_a_failed_job_is_tried_again_later_each_time(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(module, "_RETRY_LAST_S", 0.03)
    pauses: list[float] = []

    class Recording(Background):
        def submit(self, work: object, delay_s: float = 0.0, long: bool = False) -> None:
            pauses.append(delay_s)
            super().submit(work, delay_s, long)  # type: ignore[arg-type]

    background = Recording(1)
    work = Work(error, error, error, error, False, error, False)
    job = Job(background, "test", work)
    job.ask()
    wait_until("it succeeded", lambda: work.runs == 5 and not job._active)
    assert pauses == [0.0, 0.01, 0.02, 0.03, 0.03]
    job.ask()
    wait_until("it succeeded again", lambda: work.runs == 7 and not job._active)
    assert pauses[5:] == [0.0, 0.01]
    background.close()


def test_a_cancelled_job_is_not_tried_again(background: Background) -> None:
    work = Work(Cancelled("the shard is closing"))
    job = Job(background, "test", work)
    job.ask()
    wait_until("it ended", lambda: work.runs == 1 and not job._active)
