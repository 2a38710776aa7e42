"""What commands print: the same rows as a table for people, as JSON or YAML for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import orjson
import typer
import yaml
from rich.console import Console
from rich.table import Table


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


FormatOption = Annotated[Format, typer.Option("--format", help="table, json or yaml")]

_JSON: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z
# What is read by programs is not folded.
_NO_TERMINAL_WIDTH: Final = 100_000


def output() -> Console:
    """Standard output, as wide as the terminal; without a terminal no line is broken."""
    width = None if sys.stdout.isatty() else _NO_TERMINAL_WIDTH
    return Console(width=width, highlight=False, markup=False)


def plain_table(*columns: str) -> Table:
    """Without lines, as all commands print them."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    return table


def print_table(table: Table, apart: bool = False) -> None:
    """apart: an empty line before it. Where no terminal is, lines end where their text does."""
    console = output()
    if apart:
        console.print()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format) -> None:
    """One line per row; JSON and YAML are a list of objects with these columns, nothing left out."""
    told = [{column: row[column] for column in columns} for row in rows]
    if form is not Format.TABLE:
        dump(told, form)
        return
    table = plain_table(*columns)
    for row in told:
        table.add_row(*map(cell, row.values()))
    print_table(table)


def show_one(told: Mapping[str, Any], form: Format) -> None:
    """One object: a line for each of its fields."""
    if form is not Format.TABLE:
        dump(told, form)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in told.items():
        table.add_row(name.replace("_", " "), cell(value))
    print_table(table)


def cell(value: object) -> str:
    """One value in a table."""
    if value is None or value in ([], {}):
        return "-"
    match value:
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(one, str) for one in value):
            return ", ".join(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case list() | dict():
            return orjson.dumps(value, option=_JSON).decode()
        case _:
            return str(value)


def dump(told: object, form: Format) -> None:
    """As JSON, or as YAML. Vectors of numpy are lists, instants RFC 3339 in UTC."""
    typer.echo(rendered(told, form))


def rendered(told: object, form: Format) -> str:
    if form is Format.YAML:
        plain = orjson.loads(orjson.dumps(told, option=_JSON))
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip("\n")
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | _JSON).decode()
