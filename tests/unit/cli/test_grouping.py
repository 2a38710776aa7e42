"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from hanax.cli.grouping import grouped
from tests.command_runs import run


@dataclass(frozen=True)
class Where:
    """A group."""

    host: Annotated[str, typer.Option("--host", help="The host.")] = "here"
    tags: Annotated[list[str] | None, typer.Option("--tag")] = None


@dataclass(frozen=True)
class Near(Where):
    """A group that has the fields of another."""

    metres: Annotated[int, typer.Option("--metres", min=1)] = 5


def command() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command()
    @grouped
    def show(name: Annotated[str, typer.Argument()], near: Near, loud: bool = False) -> None:
        """Show it."""
        typer.echo(f"{name} {near.host} {near.tags} {near.metres} {loud}")

    return app


def test_fields_are_options_of_the_command() -> None:
    app = command()
    assert run(app, "a").out == "a here None 5 False\n"
    given = run(app, "a", "--host", "b", "--tag", "c", "--tag", "d", "--metres", "7", "--loud")
    assert given.out == "a b ['c', 'd'] 7 True\n"


def test_they_are_checked_and_told_as_any_other() -> None:
    app = command()
    assert run(app, "a", "--metres", "0").code == 2
    told = run(app, "--help").out
    assert "Show it." in told
    assert "The host." in told
    assert "--metres" in told


def test_two_parameters_of_one_name_are_a_defect() -> None:
    with pytest.raises(AssertionError, match="two parameters host"):

        @grouped
        def twice(host: str, where: Where) -> None: ...
