"""Starting, awaiting and stopping a supervisor from another process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from hanax.core.errors import FailedPrecondition, Unavailable
from hanax.core.settings import LocalSettings
from hanax.local.layout import Layout
from hanax.local.logfiles import bound_log, last_lines, open_log
from hanax.local.state import (
    ServiceState,
    StackState,
    State,
    read_state,
    running_supervisor,
)

_POLL_S = 0.05

# The supervisor's own end, beyond the graces of gateway and shards that it waits for.
_STOP_MARGIN_S = 20.0

# Log lines shown of a service that does not start.
_SHOWN_LINES = 15


@dataclass(frozen=True)
class Started:
    """A supervisor that this process started."""

    process: subprocess.Popen[bytes]
    layout: Layout


def start(settings: LocalSettings, layout: Layout, bound_to_caller: bool) -> Started:
    """Start a supervisor in a session of its own.

    `bound_to_caller`: it stops when the calling process ends, however that ends. Raises
    FailedPrecondition when the data directory can't be used.
    """
    try:
        layout.create()
        log_file = layout.log_of("supervisor")
        bound_log(log_file)
        with open_log(log_file) as output:
            process = subprocess.Popen(
                (sys.executable, "-P", "-m", "hanax.local"),
                env=_environment(settings, layout, bound_to_caller),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except OSError as error:
        raise FailedPrecondition(
            f"the data directory {layout.root} cannot be used: {error.strerror or error}"
        ) from None
    return Started(process, layout)


def await_ready(started: Started, timeout_s: float, on_change: Callable[[StackState], None]) -> StackState:
    """Return once everything is ready, telling `on_change` of each state on the way.

    Raises Unavailable, with the last log lines of what failed, when the supervisor ends, a
    service has died several times, or the time is over.
    """
    deadline = time.monotonic() + timeout_s
    shown: StackState | None = None
    while True:
        ended = started.process.poll() is not None
        state = state_of(started)
        if state is not None and state != shown:
            on_change(state)
            shown = state
        if ended:
            raise Unavailable(_why_it_ended(started.layout, state))
        if state is not None and state.ready:
            return state
        failed = [one for one in state.services if one.state is State.FAILED] if state else []
        if failed:
            raise Unavailable(_why_it_failed(started.layout, failed, "does not start"))
        if time.monotonic() >= deadline:
            waiting = [one for one in state.services if one.state is not State.READY] if state else []
            what = f"was not ready within {timeout_s:g} s"
            raise Unavailable(_why_it_failed(started.layout, waiting, what))
        time.sleep(_POLL_S)


def state_of(started: Started) -> StackState | None:
    """The state that this very supervisor wrote, or None before it did."""
    state = read_state(started.layout.state_file)
    return state if state is not None and state.supervisor.pid == started.process.pid else None


def stop(layout: Layout, drain_grace_s: float) -> bool:
    """Stop the stack in order and wait for its end. False when none ran.

    Raises Unavailable when it is not gone in time.
    """
    owner = running_supervisor(layout.lock_file)
    process = owner.find() if owner is not None else None
    if owner is None or process is None:
        return False
    process.terminate()
    deadline = time.monotonic() + _longest_stop_s(drain_grace_s)
    # It gives up its lock a moment before it ends.
    while running_supervisor(layout.lock_file) == owner or _is_alive(process):
        if time.monotonic() >= deadline:
            raise _not_ended(owner.pid, layout)
        time.sleep(_POLL_S)
    return True


def _is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and was not collected by its parent doesn't."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop_started(started: Started, drain_grace_s: float) -> None:
    """The same for one's own supervisor, at whatever point of its start it is."""
    started.process.terminate()
    try:
        started.process.wait(_longest_stop_s(drain_grace_s))
    except subprocess.TimeoutExpired:
        raise _not_ended(started.process.pid, started.layout) from None


def _longest_stop_s(drain_grace_s: float) -> float:
    # Two stages, each with its grace.
    return 2 * drain_grace_s + _STOP_MARGIN_S


def _not_ended(pid: int, layout: Layout) -> Unavailable:
    return Unavailable(f"the supervisor (pid {pid}) has not ended; see {layout.log_of('supervisor')}")


def _environment(settings: LocalSettings, layout: Layout, bound: bool) -> dict[str, str]:
    """The settings as variables, so that the supervisor reads what the command was told."""
    environment = {
        **os.environ,
        "HANAX_LOG_LEVEL": settings.log_level,
        "HANAX_DRAIN_GRACE_S": str(settings.drain_grace_s),
        "HANAX_DATA_DIR": str(layout.root),
        "HANAX_SHARDS": str(settings.shards),
        "HANAX_GATEWAY_HOST": settings.gateway_host,
        "HANAX_GATEWAY_PORT": str(settings.gateway_port),
        "HANAX_GATEWAY_GRPC_PORT": str(settings.gateway_grpc_port),
        "HANAX_GATEWAY_WORKERS": str(settings.gateway_workers),
        "HANAX_DATABASE_URL": settings.database_url,
        "HANAX_EMBEDDER_MODEL": settings.embedder_model,
        "HANAX_EMBEDDER_BACKEND": settings.embedder_backend,
    }
    if settings.models_file is not None:
        environment["HANAX_MODELS_FILE"] = str(settings.models_file.resolve())
    environment.pop("HANAX_PARENT_PID", None)
    if bound:
        environment["HANAX_PARENT_PID"] = str(os.getpid())
    return environment


def _why_it_ended(layout: Layout, state: StackState | None) -> str:
    if state is not None and state.error:
        return state.error
    if running_supervisor(layout.lock_file) is not None:
        return f"another supervisor runs in {layout.root}"
    lines = last_lines(layout.log_of("supervisor"), _SHOWN_LINES)
    return "\n".join(["the supervisor ended; its last words:", *lines])


def _why_it_failed(layout: Layout, services: list[ServiceState], what: str) -> str:
    if not services:
        return "\n".join([f"the stack {what}:", *last_lines(layout.log_of("supervisor"), _SHOWN_LINES)])
    parts: list[str] = []
    for one in services:
        reason = f" ({one.reason})" if one.reason else ""
        parts.append(f"{one.name} {what}{reason}; the end of {layout.log_of(one.name)}:")
        parts += last_lines(layout.log_of(one.name), _SHOWN_LINES)
    return "\n".join(parts)
