"""When a service process ends: on SIGTERM or SIGINT, or when the process that started it is gone."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

# How often an orphan notices. Nothing else watches for a supervisor that was killed.
_PARENT_CHECK_S = 1.0


class Shutdown:
    """Set once; `wait` returns then. Create it in the main thread."""

    def __init__(self, parent_pid: int | None) -> None:
        """`parent_pid`: end when this process is no longer our parent; None: never for that reason."""
        self._requested = threading.Event()
        self._parent_pid = parent_pid
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def request(self) -> None:
        self._requested.set()

    def due(self) -> bool:
        """Whether it is time to end, without waiting: for a process with an event loop."""
        orphaned = self._parent_pid is not None and os.getppid() != self._parent_pid
        return orphaned or self._requested.is_set()

    def wait(self) -> None:
        while not self._requested.wait(_PARENT_CHECK_S):
            if self.due():
                return

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._requested.set()
