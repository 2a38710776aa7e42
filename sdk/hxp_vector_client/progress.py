"""A progress bar for whatever takes `progress`. Needs the extra `rich`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hxp_vector_client.extras import imported
from hxp_vector_client.options import ProgressCallback


@contextmanager
def progress_bar(description: str, console: Any = None) -> Iterator[ProgressCallback]:
    """A bar on the terminal, gone from it at the end. console: a rich Console, in place of standard output.

        with progress_bar("storing") as progress:
            client.upsert("docs", vectors, progress=progress)

    Raises MissingExtra.
    """
    rich = imported("rich.progress", "rich")
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(description, total=None)

        def show(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        yield show
