"""`hana-x-vector`: the whole platform on this machine.

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; `status` also 3: not running.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

import hanax
from hanax.cli.failures import exit_code
from hanax.cli.printing import Format, FormatOption, dump
from hanax.cli.screen import addresses, report_table, report_told
from hanax.cli.session import start_and_await, stay, terminable
from hanax.core.errors import FailedPrecondition, InvalidArgument, NotFound
from hanax.core.settings import LocalSettings
from hanax.local import control
from hanax.local.inspection import StackReport, inspect
from hanax.local.layout import Layout
from hanax.local.logfiles import LogFollower, last_lines
from hanax.local.state import State, running_supervisor

NOT_RUNNING = 3

_FOLLOW_S = 0.2

app = typer.Typer(
    help="HANA-X Vector on this machine: gateway, shards and embedder.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
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
    if control.stop(layout, settings.drain_grace_s):
        console.print("Stopped.")
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
        raise typer.Exit(NOT_RUNNING)
    if not report.ready:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"hana-x-vector {hanax.__version__}")


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="One service; all when left out.")] = None,
    data_dir: DataDir = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print what services wrote to their logs."""
    layout = Layout.at(_settings(data_dir).data_dir)
    known = sorted(path.stem for path in layout.logs.glob("*.log"))
    if service is not None and service not in known:
        names = ", ".join(known) or "none yet"
        raise NotFound(f"{service!r} has no log in {layout.logs}; there is: {names}")
    chosen = known if service is None else [service]
    followers = {name: LogFollower(layout.log_of(name)) for name in chosen}
    for name in chosen:
        _print_lines(name if service is None else "", last_lines(layout.log_of(name), lines))
    try:
        while follow:
            for name, follower in followers.items():
                _print_lines(name if service is None else "", list(follower.lines()))
            time.sleep(_FOLLOW_S)
    except KeyboardInterrupt:
        return


@app.command()
def demo(data_dir: DataDir = None, shards: Shards = None, port: Port = None, backend: Backend = None) -> None:
    """Index the standard library's documentation and ask it six questions.

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
    options: dict[str, Any] = {
        "data_dir": data_dir,
        "shards": shards,
        "gateway_port": port,
        "embedder_backend": backend,
    }
    try:
        return LocalSettings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(map(str, first["loc"]))
        raise InvalidArgument(
            f"HANAX_{name.upper()}, or the option for it: {first['msg']}, got {first['input']!r}"
        ) from None


def _show(report: StackReport) -> None:
    console.print(report_table(report))
    for one in report.services:
        if one.reason and one.state is not State.READY:
            console.print(f"{one.service}: {one.reason}", highlight=False, soft_wrap=True)
    if report.api_url:
        console.print()
        console.print(addresses(report.api_url))


def _print_lines(prefix: str, lines: list[str]) -> None:
    for line in lines:
        typer.echo(f"{prefix} | {line}" if prefix else line)
