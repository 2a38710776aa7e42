"""A stack that a command starts, shows and holds."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.live import Live

from hanax.cli.screen import progress_table
from hanax.core.errors import FailedPrecondition, Unavailable
from hanax.core.settings import LocalSettings
from hanax.local import control
from hanax.local.control import Started
from hanax.local.layout import Layout
from hanax.local.state import StackState, State

_WATCH_S = 0.5


def start_and_await(
    settings: LocalSettings, layout: Layout, console: Console, bound_to_caller: bool
) -> tuple[Started, StackState]:
    """Start the stack and show how it comes up.

    Raises FailedPrecondition, with the last log lines of what failed; everything is stopped again then.
    """
    started = control.start(settings, layout, bound_to_caller)
    try:
        if console.is_terminal:
            with Live(console=console, transient=True) as live:
                state = control.await_ready(
                    started, settings.ready_timeout_s, lambda now: live.update(progress_table(now))
                )
        else:
            news = _News(console)
            state = control.await_ready(started, settings.ready_timeout_s, news.tell)
    except BaseException as error:
        control.stop_started(started, settings.drain_grace_s)
        if isinstance(error, Unavailable):
            # Trying again is no use, as it would be with a gateway that is away.
            raise FailedPrecondition(error.message) from None
        raise
    return started, state


def stay(started: Started, known: StackState, console: Console) -> int:
    """Tell what changes from `known` until the supervisor ends, and return its exit status.

    KeyboardInterrupt passes.
    """
    news = _News(console)
    news.note(known)
    while (status := started.process.poll()) is None:
        state = control.state_of(started)
        if state is not None:
            news.tell(state)
        time.sleep(_WATCH_S)
    return status


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP mean what Ctrl-C means."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _News:
    """One line for each service whose state changed, and for each restart, also one between two looks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, tuple[State, int]] = {}

    def note(self, state: StackState) -> None:
        """Take it as told."""
        self._told = {one.name: (one.state, one.restarts) for one in state.services}

    def tell(self, state: StackState) -> None:
        for one in state.services:
            told, restarts = self._told.get(one.name, (None, 0))
            if one.restarts > restarts:
                told = State.FAILED if one.state is State.FAILED else State.RESTARTING
                self._print(f"{one.name}: {told} ({one.reason})")
            if one.state is not told:
                self._print(f"{one.name}: {one.state}")
        self.note(state)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
