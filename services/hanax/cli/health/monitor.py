"""Look after look: a table that changes, lines of what changed, or a document for each look."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import orjson
import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from hanax.cli.health.checks import Check, Status, overall
from hanax.cli.health.looking import Look
from hanax.cli.health.table import check_table
from hanax.cli.printing import Format, output, rendered


class Monitor:
    """Use it as a context: the terminal is given back at its end."""

    def __init__(self, form: Format) -> None:
        self._form = form
        console = output()
        self._live = Live(console=console) if form is Format.TABLE and console.is_terminal else None
        self._known: dict[tuple[str, str], tuple[Status, str]] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, found: Look, checks: Sequence[Check]) -> None:
        if self._live is not None:
            head = Text(f"{found.at}  {found.url}  {overall(checks)}")
            self._live.update(Group(head, check_table(checks)), refresh=True)
        elif self._form is Format.TABLE:
            self._tell_changes(found.at, checks)
        else:
            self._tell(
                {**found.told(), "status": overall(checks).value, "checks": [one.told() for one in checks]}
            )

    def _tell(self, told: dict[str, Any]) -> None:
        if self._form is Format.JSON:
            typer.echo(orjson.dumps(told).decode())
        else:
            typer.echo("---\n" + rendered(told, Format.YAML))

    def _tell_changes(self, at: str, checks: Sequence[Check]) -> None:
        for check in checks:
            key, now = (check.kind, check.name), (check.status, check.message)
            if self._known.get(key) != now:
                typer.echo(f"{at}  {check.status}  {check.name}  {check.message}".rstrip())
            self._known[key] = now
