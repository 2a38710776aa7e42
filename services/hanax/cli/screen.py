"""What the commands print about the stack."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from hanax.local.inspection import ServiceReport, StackReport
from hanax.local.state import ServiceState, StackState, State

_COLOUR: Final = {
    State.STARTING: "yellow",
    State.READY: "green",
    State.RESTARTING: "yellow",
    State.FAILED: "red",
    State.STOPPED: "dim",
}


def report_table(report: StackReport) -> Table:
    """The status: one row per service."""
    table = _table()
    table.add_column("memory", justify="right")
    for one in report.services:
        memory = "-" if one.memory_bytes is None else f"{one.memory_bytes / 2**20:,.0f} MiB"
        table.add_row(*_row(one), memory)
    return table


def progress_table(state: StackState) -> Table:
    """The same while waiting, without asking the services."""
    table = _table()
    for one in state.services:
        table.add_row(*_row(_report_of(one)))
    return table


def report_told(report: StackReport | None) -> dict[str, Any]:
    """For programs; `running` is false and nothing else is told when no supervisor runs."""
    if report is None:
        return {"running": False, "ready": False, "services": []}
    return {
        "running": True,
        "ready": report.ready,
        "api_url": report.api_url,
        "supervisor_pid": report.supervisor_pid,
        "services": [asdict(one) for one in report.services],
    }


def addresses(api_url: str) -> Table:
    """Where a user goes from here."""
    table = Table.grid(padding=(0, 2))
    table.add_row("API", f"{api_url}/api/v1")
    table.add_row("docs", f"{api_url}/docs")
    return table


def _table() -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("service", "pid", "state", "restarts", "uptime", "address"):
        numeric = name in ("pid", "restarts", "uptime")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    return table


def _row(one: ServiceReport) -> tuple[str | Text, ...]:
    return (
        one.service,
        "-" if one.pid is None else str(one.pid),
        Text(one.state, style=_COLOUR[one.state]),
        str(one.restarts),
        "-" if one.uptime_s is None else _span(one.uptime_s),
        one.address,
    )


def _report_of(one: ServiceState) -> ServiceReport:
    process = one.process
    return ServiceReport(
        service=one.name,
        pid=process.pid if process is not None else None,
        state=one.state,
        restarts=one.restarts,
        uptime_s=time.time() - one.started_at if process is not None else None,
        address=one.address,
        memory_bytes=None,
        reason=one.reason,
    )


def _span(seconds: float) -> str:
    minutes, left = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {left:02}s" if minutes else f"{left}s"
