"""What the supervisor tells others: its lock, and run/stack.json.

The lock alone says whether a supervisor runs: the kernel frees it with the process. The state
file may be left over from one that was killed; then only its ports are of use, and the processes
that it names, if they still live.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

# Someone who only asks holds the lock for microseconds.
_LOCK_PATIENCE_S = 0.5
_LOCK_PAUSE_S = 0.02

# When a process began is reckoned from the machine's boot, whose time moves when clocks are set.
_CLOCK_SLACK_S = 5.0


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


class ProcessRef(BaseModel):
    """A process, told from a later one that got the same number by when it began."""

    model_config = ConfigDict(frozen=True)

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Raises psutil.NoSuchProcess."""
        return cls(pid=pid, created=psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The live process, or None when it is gone."""
        try:
            process = psutil.Process(self.pid)
            other = abs(process.create_time() - self.created) > _CLOCK_SLACK_S
            if other or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.Error:
            return None
        return process


class ServiceState(BaseModel):
    """One service as the supervisor sees it. Times are seconds since 1970."""

    name: str
    state: State = State.STARTING
    process: ProcessRef | None = None
    restarts: int = 0
    started_at: float = 0.0
    ready_at: float | None = None
    address: str = ""
    reason: str = ""


class StackState(BaseModel):
    """`error` is why the supervisor could not run at all; empty while it runs."""

    supervisor: ProcessRef
    api_url: str
    services: list[ServiceState] = []
    ports: dict[str, int] = {}
    error: str = ""

    @property
    def ready(self) -> bool:
        return bool(self.services) and all(one.state is State.READY for one in self.services)


def read_state(path: Path) -> StackState | None:
    """Return the last state written, or None when there is none that can be read."""
    try:
        return StackState.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def write_state(path: Path, state: StackState) -> None:
    """Replace the file whole. Not synced: after a power cut there is nothing to tell."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(state.model_dump_json(indent=1))
    draft.replace(path)


class SupervisorLock:
    """Held by the one supervisor of a data directory for as long as it lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Take it; False when another process has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(_LOCK_PAUSE_S)
                    continue
                os.close(file)
                return False
            self._file = file
            os.truncate(file, 0)
            os.pwrite(file, ProcessRef.of(os.getpid()).model_dump_json().encode(), 0)
            return True

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def running_supervisor(lock_file: Path) -> ProcessRef | None:
    """Who holds the lock; None when nobody does."""
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            file = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            with suppress(ValidationError):
                owner = ProcessRef.model_validate_json(os.pread(file, 256, 0))
                if owner.find() is not None:
                    return owner
        finally:
            os.close(file)
        # It has just taken the lock and not yet written who it is, or is on its way out.
        if time.monotonic() >= deadline:
            return None
        time.sleep(_LOCK_PAUSE_S)
