"""`hana-x-db query`: the nearest points to a text, a vector or a point; or points one after another."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import orjson
import typer

from hanax.cli.connection import Showing
from hanax.cli.db.collections import Name
from hanax.cli.grouping import grouped
from hanax.cli.printing import Format, cell, dump, plain_table, print_table
from hanax.core.errors import InvalidArgument
from hxp_vector_client.models import Hit, Point

# Points of one answer, where there is nothing to search for.
_PAGE: Final = 500
_SHOWN_NUMBERS: Final = 4
_SHOWN_METADATA: Final = 160


@dataclass(frozen=True)
class Sought:
    """What is searched for: one of these, or nothing for a page of all points."""

    text: Annotated[
        str | None, typer.Argument(help="A text, embedded by the collection's model; -: standard input.")
    ] = None
    vector: Annotated[
        str | None, typer.Option("--vector", help="A JSON list of numbers, or @FILE.json or @FILE.npy.")
    ] = None
    like: Annotated[str | None, typer.Option("--like", help="Id of a point; all digits mean an integer.")] = (
        None
    )

    def named(self) -> dict[str, Any]:
        """As the client's search takes it; empty: nothing is searched for. Raises InvalidArgument."""
        text = sys.stdin.read().strip() if self.text == "-" else self.text
        told = {
            "text": text,
            "vector": None if self.vector is None else read_vector(self.vector),
            "like": None if self.like is None else read_id(self.like),
        }
        found = {name: value for name, value in told.items() if value is not None}
        if len(found) > 1:
            raise InvalidArgument("expected one of TEXT, --vector and --like, got several")
        return found


@dataclass(frozen=True)
class Answers:
    """Which points are answered, and what of them."""

    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Points at most.")] = 10
    filter: Annotated[
        str | None, typer.Option("--filter", help='A JSON filter: {"year": {"$gte": 2020}}.')
    ] = None
    vectors: Annotated[bool, typer.Option("--vectors", help="Show the vectors too.")] = False
    exact: Annotated[bool, typer.Option("--exact", help="Compare all points, without the index.")] = False

    def named(self) -> dict[str, Any]:
        """As the client's search and scroll take it. Raises InvalidArgument."""
        told: dict[str, Any] = {"limit": self.limit, "include_vectors": self.vectors}
        if self.filter is not None:
            told["filter"] = read_filter(self.filter)
        return told


@grouped
def query(name: Name, sought: Sought, answers: Answers, showing: Showing) -> None:
    """Search a collection; without anything to search for, show its points.

    JSON and YAML: a list of points, best first, each with id, score, metadata and what else was asked for.
    """
    connection = showing.connection()
    wanted = sought.named()
    if not wanted and answers.exact:
        raise InvalidArgument("--exact is of a search: say TEXT, --vector or --like")
    named = answers.named()

    async def ask() -> Sequence[Hit | Point]:
        async with connection.client() as client:
            if wanted:
                return list(await client.search(name, **wanted, **named, exact=answers.exact))
            pages = client.scroll(name, **named, page_size=min(answers.limit, _PAGE))
            return [point async for point in pages]

    rows = [_row(point) for point in asyncio.run(ask())]
    if connection.form is not Format.TABLE:
        dump(rows, connection.form)
        return
    columns = [one for one in ("score", "id", "metadata", "vector") if rows and one in rows[0]]
    table = plain_table(*columns or ["id", "metadata"])
    for row in rows:
        table.add_row(*(_shown(column, row.get(column)) for column in columns))
    print_table(table)


def read_vector(given: str) -> list[float]:
    """Numbers, from the words or from a file that @ names. Raises InvalidArgument."""
    if given.startswith("@") and given.endswith(".npy"):
        return _array(Path(given[1:]))
    text = given
    if given.startswith("@"):
        try:
            text = Path(given[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"--vector: {given[1:]} can't be read: {error}") from None
    try:
        numbers = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"--vector: expected a JSON list of numbers: {error}") from None
    if not isinstance(numbers, list):
        raise InvalidArgument("--vector: expected a JSON list of numbers")
    return numbers


def read_id(given: str) -> int | str:
    """Digits as JSON writes an integer are one; quotes make text of them."""
    if len(given) > 1 and given[0] == given[-1] == '"':
        return given[1:-1]
    return int(given) if given.isdecimal() and given.isascii() and str(int(given)) == given else given


def read_filter(given: str) -> Any:
    """Raises InvalidArgument."""
    try:
        return orjson.loads(given)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"--filter: expected JSON: {error}") from None


def _array(path: Path) -> list[float]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidArgument(f"--vector: {path} can't be read: {error}") from None
    numbers: list[float] = np.asarray(array, dtype=np.float32).reshape(-1).tolist()
    return numbers


def _row(point: Hit | Point) -> dict[str, Any]:
    """What is searched and what is scrolled look alike."""
    return point.model_dump(exclude_unset=True, exclude={"collection", "model"})


def _shown(column: str, value: Any) -> str:
    match column, value:
        case "score", float():
            return f"{value:.4f}"
        case "vector", np.ndarray() if len(value) > _SHOWN_NUMBERS:
            begin = ", ".join(f"{number:.4g}" for number in value[:_SHOWN_NUMBERS])
            return f"[{begin}, … {len(value)} numbers]"
        case "metadata", dict():
            text = orjson.dumps(value).decode()
            return text if len(text) <= _SHOWN_METADATA else text[: _SHOWN_METADATA - 1] + "…"
        case _:
            return cell(value)
