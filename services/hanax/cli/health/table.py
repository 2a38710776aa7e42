"""Checks as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from hanax.cli.health.checks import Check, Status
from hanax.cli.printing import plain_table

_COLOUR: Final = {
    Status.HEALTHY: "green",
    Status.UNKNOWN: "dim",
    Status.DEGRADED: "yellow",
    Status.UNHEALTHY: "red",
}


def check_table(checks: Sequence[Check]) -> Table:
    table = plain_table("part", "kind", "status", "latency", "message")
    for check in checks:
        latency = "-" if check.latency_ms is None else f"{check.latency_ms:.1f} ms"
        status = Text(check.status, style=_COLOUR[check.status])
        table.add_row(check.name, check.kind, status, latency, Text(check.message or "-"))
    return table
