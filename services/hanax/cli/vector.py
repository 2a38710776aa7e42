"""`hana-x-vector`: the whole platform on this machine.

Exit codes: hanax.cli.exits; `status` ends with 3 where no stack runs.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

import hanax
from hanax.cli.command_line import new_app
from hanax.cli.connection import Showing
from hanax.cli.exits import Exit
from hanax.cli.failures import exit_code
from hanax.cli.grouping import grouped
from hanax.cli.log_lines import Logs, parse_since
from hanax.cli.names import service_names
from hanax.cli.printing import Format, FormatOption, dump, show
from hanax.cli.reading_settings import read_settings
from hanax.cli.screen import addresses, report_table, report_told
from hanax.cli.session import start_and_await, stay, terminable
from hanax.cli.versions import look_at_versions, own_version
from hanax.core.errors import FailedPrecondition
from hanax.core.settings import LocalSettings
from hanax.local import control
from hanax.local.inspection import StackReport, inspect
from hanax.local.layout import Layout
from hanax.local.state import State, running_supervisor

_FOLLOW_S = 0.2

app = new_app("HANA-X Vector on this machine: gateway, shards and embedder.")
console = Console()


DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where data is kept [HANAX_DATA_DIR, else .hanax]."),
]
Shards = Annotated[
    int | None,
    typer.Option("--shards", min=1, max=64, help="Shard processes [HANAX_SHARDS, else 2]."),
]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port of the API, 0: any [HANAX_GATEWAY_PORT, else 8000]."),
]
Backend = Annotated[
    str | None,
    typer.Option("--backend", help="What embeds texts: auto, onnx, torch or hash [HANAX_EMBEDDER_BACKEND]."),
]


@app.command()
def up(
    data_dir: DataDir = None,
    shards: Shards = None,
    port: Port = None,
    backend: Backend = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it is ready, and leave it running.")
    ] = False,
) -> None:
    """Start the stack. Stays until Ctrl-C, or returns when ready with --detach."""
    settings = _settings(data_dir, shards, port, backend)
    layout = Layout.at(settings.data_dir)
    if running_supervisor(layout.lock_file) is not None:
        console.print(f"The stack of {layout.root} runs already.", highlight=False, soft_wrap=True)
        report = inspect(layout)
        if report is not None:
            _show(report)
        return
    with terminable():
        started, state = start_and_await(settings, layout, console, bound_to_caller=not detach)
        report = inspect(layout)
        if report is not None:
            _show(report)
        if detach:
            return
        console.print("Ctrl-C stops it.")
        try:
            status = stay(started, state, console)
        except KeyboardInterrupt:
            console.print("Stopping.")
            control.stop_started(started, settings.drain_grace_s)
            return
    if status != 0:
        raise FailedPrecondition(f"the supervisor ended; see {layout.log_of('supervisor')}")


@app.command()
def down(data_dir: DataDir = None) -> None:
    """Stop the stack; its data stays."""
    settings = _settings(data_dir)
    layout = Layout.at(settings.data_dir)
    supervisor = running_supervisor(layout.lock_file)
    if supervisor is not None:
        # Requests under way are finished first, which may take as long as the grace for them.
        console.print(f"Stopping the stack of {layout.root}.", highlight=False, soft_wrap=True)
    began = time.monotonic()
    if control.stop(layout, settings.drain_grace_s):
        console.print(f"Stopped after {time.monotonic() - began:.1f} s.", highlight=False)
    else:
        console.print(f"No stack of {layout.root} runs.", highlight=False, soft_wrap=True)


@app.command()
def status(
    data_dir: DataDir = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the services. Exit code 0: all ready; 3: not running; 1: anything else."""
    layout = Layout.at(_settings(data_dir).data_dir)
    report = inspect(layout)
    if form is not Format.TABLE:
        dump(report_told(report), form)
    elif report is None:
        console.print(f"No stack of {layout.root} runs.", highlight=False, soft_wrap=True)
    else:
        _show(report)
    if report is None:
        raise typer.Exit(Exit.PENDING)
    if not report.ready:
        raise typer.Exit(Exit.FAILED)


@app.command()
@grouped
def version(
    showing: Showing,
    data_dir: DataDir = None,
    client: Annotated[bool, typer.Option("--client", help="Of this program alone.")] = False,
) -> None:
    """Print the versions of all parts.

    Those of this program, of the gateway and of the services of the local stack. What does not answer has
    none: that is no error.
    """
    if client and showing.form in (None, Format.TABLE):
        typer.echo(f"hana-x-vector {hanax.__version__}")
        return
    connection = showing.connection(data_dir)
    rows = [own_version()] if client else asyncio.run(look_at_versions(connection))
    show(rows, ("component", "version", "address", "reason"), connection.form)


@app.command()
def logs(
    service: Annotated[
        str | None, typer.Argument(help="One service; all when left out.", autocompletion=service_names)
    ] = None,
    data_dir: DataDir = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines from the end, of each.")] = 50,
    since: Annotated[
        str | None,
        typer.Option("--since", help="What came in the last 90s, 10m, 2h or 1d, or since an instant."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print what services wrote to their logs."""
    layout = Layout.at(_settings(data_dir).data_dir)
    told = Logs(layout, service)
    moment = None if since is None else parse_since(since, datetime.now(UTC))
    for line in told.written(lines, moment):
        typer.echo(line)
    try:
        while follow:
            sys.stdout.flush()
            time.sleep(_FOLLOW_S)
            for line in told.new():
                typer.echo(line)
    except KeyboardInterrupt:
        return


@app.command()
def demo(data_dir: DataDir = None, shards: Shards = None, port: Port = None, backend: Backend = None) -> None:
    """Index Python's documentation, and ask it six questions.

    On a terminal it stays until Ctrl-C. Exit code 1: an expected answer was not found.
    """
    from hanax.cli.demo.corpus import build_corpus
    from hanax.cli.demo.run import run_demo

    raise typer.Exit(run_demo(_settings(data_dir, shards, port, backend), build_corpus, console))


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(exit_code(app))


def _settings(
    data_dir: Path | None,
    shards: int | None = None,
    port: int | None = None,
    backend: str | None = None,
) -> LocalSettings:
    """Settings from HANAX_* variables, overridden by options. Raises InvalidArgument."""
    return read_settings(
        LocalSettings, data_dir=data_dir, shards=shards, gateway_port=port, embedder_backend=backend
    )


def _show(report: StackReport) -> None:
    console.print(report_table(report))
    for one in report.services:
        if one.reason and one.state is not State.READY:
            console.print(f"{one.service}: {one.reason}", highlight=False, soft_wrap=True)
    if report.api_url:
        console.print()
        console.print(addresses(report.api_url))
