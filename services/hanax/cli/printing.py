"""What commands print: the same rows as a table for people, as JSON or YAML for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

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


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format) -> None:
    """One line per row; JSON and YAML are a list of objects with these columns, nothing left out."""
    told = [{column: row[column] for column in columns} for row in rows]
    if form is not Format.TABLE:
        dump(told, form)
    else:
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in told:
            table.add_row(*("-" if value is None else str(value) for value in row.values()))
        Console(highlight=False, markup=False).print(table)


def dump(told: object, form: Format) -> None:
    """As JSON, or as YAML."""
    if form is Format.YAML:
        plain = orjson.loads(orjson.dumps(told))
        typer.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip("\n"))
    else:
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
