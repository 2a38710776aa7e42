"""The frame that all commands share."""

from __future__ import annotations

import typer


def new_app(about: str) -> typer.Typer:
    """A command with subcommands. No stack traces; plain help, whose lines fit the terminal."""
    return typer.Typer(
        help=about, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
    )
