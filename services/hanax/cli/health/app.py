"""`hana-x-health`: whether the platform is well. Exit codes: hanax.cli.exits; 1: something is unhealthy."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hanax.cli.command_line import new_app
from hanax.cli.connection import Asking, Showing
from hanax.cli.exits import Exit
from hanax.cli.failures import exit_code, remark
from hanax.cli.grouping import grouped
from hanax.cli.health.checks import Check, Status, chosen, overall
from hanax.cli.health.looking import look
from hanax.cli.health.monitor import Monitor
from hanax.cli.health.report import ReportFormat, make_report, render_report
from hanax.cli.health.table import check_table
from hanax.cli.names import service_names
from hanax.cli.printing import Format, dump, print_table
from hanax.core.errors import InvalidArgument

app = new_app("How the platform is: the gateway, what it needs, and the services of the local stack.")

Service = Annotated[
    str | None,
    typer.Option("--service", "-s", help="One part alone, by its name.", autocompletion=service_names),
]
Strict = Annotated[bool, typer.Option("--strict", help="What is degraded counts as unhealthy.")]


@app.command()
@grouped
def check(
    showing: Showing,
    service: Service = None,
    every: Annotated[bool, typer.Option("--all", help="All parts, as when --service is left out.")] = False,
    strict: Strict = False,
) -> None:
    """Look at all parts, or at one, once. Exit code 0: well; 1: something is unhealthy."""
    if every and service is not None:
        raise InvalidArgument("expected one of --all and --service")
    connection = showing.connection()
    found = asyncio.run(look(connection))
    checks = chosen(found.checks, service)
    if connection.form is Format.TABLE:
        print_table(check_table(checks))
    else:
        told = {**found.told(), "status": overall(checks).value, "checks": [one.told() for one in checks]}
        dump(told, connection.form)
    raise typer.Exit(_verdict(checks, strict))


@app.command()
@grouped
def monitor(
    showing: Showing,
    service: Service = None,
    interval: Annotated[
        float, typer.Option("--interval", "-i", min=0.1, max=3_600, help="Seconds between two looks.")
    ] = 5.0,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Looks; without it, until Ctrl-C.")
    ] = None,
    strict: Strict = False,
) -> None:
    """Look again and again.

    On a terminal the table stays and changes; else a line for each change, and with --format json a document
    of `check` in each line. Ends with what the last look found.
    """
    connection = showing.connection()
    shown = Monitor(connection.form)
    checks: list[Check] = []
    looks = 0
    with shown:
        try:
            while count is None or looks < count:
                if looks:
                    time.sleep(interval)
                found = asyncio.run(look(connection))
                checks = chosen(found.checks, service)
                shown.show(found, checks)
                looks += 1
        except KeyboardInterrupt:
            pass
    raise typer.Exit(_verdict(checks, strict))


@app.command()
@grouped
def report(
    asking: Asking,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="markdown, json or yaml.")
    ] = ReportFormat.MARKDOWN,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="A file to write it to.")] = None,
) -> None:
    """Write a document that can be sent to somebody: versions, checks, collections, the last errors in logs.

    No keys, texts or vectors are in it. Exit code 1: something is unhealthy.
    """
    connection = asking.connection()
    made = asyncio.run(make_report(connection))
    text = render_report(made, form)
    if file is None:
        typer.echo(text)
    else:
        file.write_text(text + "\n")
        remark(f"Written to {file}.")
    raise typer.Exit(Exit.FAILED if made["status"] == Status.UNHEALTHY else Exit.DONE)


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(exit_code(app))


def _verdict(checks: list[Check], strict: bool) -> Exit:
    bad = (Status.UNHEALTHY, Status.DEGRADED) if strict else (Status.UNHEALTHY,)
    return Exit.FAILED if overall(checks) in bad else Exit.DONE
