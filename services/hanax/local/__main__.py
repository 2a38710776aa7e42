"""The supervisor process. `hana-x-vector up` starts it; its log is logs/supervisor.log."""

from __future__ import annotations

import asyncio
import os
import sys

import psutil
import structlog

from hanax.core.errors import HanaxError
from hanax.core.settings import LocalSettings
from hanax.local.layout import Layout
from hanax.local.stack import Stack
from hanax.local.state import (
    ProcessRef,
    StackState,
    SupervisorLock,
    read_state,
    write_state,
)
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs

log = structlog.get_logger()

# Services of a killed supervisor end by themselves; one that drains gets this long.
_LEFTOVER_GRACE_S = 15.0


def main() -> int:
    """Run until told to stop. 0: stopped; 1: could not start, the state file says why."""
    settings = LocalSettings()
    configure_logs("supervisor", settings.log_level)
    shutdown = Shutdown(settings.parent_pid)
    layout = Layout.at(settings.data_dir)
    layout.create()
    lock = SupervisorLock(layout.lock_file)
    if not lock.acquire():
        log.error("another supervisor runs here", data_dir=str(layout.root))
        return 1
    try:
        _end_leftovers(read_state(layout.state_file))
        log.info("supervisor started", data_dir=str(layout.root), shards=settings.shards)
        asyncio.run(Stack(settings, layout).run(shutdown))
        log.info("supervisor stopped")
        return 0
    except (HanaxError, OSError) as error:
        log.error("the stack cannot run", error=str(error))
        _tell(layout, str(error))
        return 1
    finally:
        lock.release()


def _end_leftovers(state: StackState | None) -> None:
    """End services that outlived their supervisor: they hold the data that new ones will open."""
    services = state.services if state is not None else []
    found = [one.process.find() for one in services if one.process is not None]
    left = [process for process in found if process is not None]
    for process in left:
        log.warning("ending a service of an earlier supervisor", pid=process.pid)
        try:
            process.terminate()
        except psutil.Error as error:
            log.warning("it cannot be ended", pid=process.pid, error=str(error))
    _, alive = psutil.wait_procs(left, timeout=_LEFTOVER_GRACE_S)
    for process in alive:
        try:
            process.kill()
        except psutil.Error as error:
            log.warning("it cannot be killed", pid=process.pid, error=str(error))


def _tell(layout: Layout, error: str) -> None:
    left = read_state(layout.state_file)
    state = StackState(
        supervisor=ProcessRef.of(os.getpid()),
        api_url="",
        ports=left.ports if left is not None else {},
        error=error,
    )
    try:
        write_state(layout.state_file, state)
    except OSError as failure:
        log.error("state file not written", error=str(failure))


if __name__ == "__main__":
    sys.exit(main())
