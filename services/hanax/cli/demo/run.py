"""`hana-x-vector demo`, from an empty machine to answers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hanax.cli.connection import Access
from hanax.cli.demo.corpus import Document
from hanax.cli.demo.indexing import Target, index_corpus
from hanax.cli.demo.questions import ANSWERS, QUESTIONS, Question, is_answered
from hanax.cli.screen import addresses
from hanax.cli.session import start_and_await, stay, terminable
from hanax.core.errors import FailedPrecondition, Unavailable
from hanax.core.settings import LocalSettings
from hanax.local import control
from hanax.local.inspection import inspect
from hanax.local.layout import Layout
from hanax.local.state import running_supervisor
from hxp_vector_client import AsyncVectorClient

_COLLECTION: Final = "python-docs"
_MODEL: Final = "all-MiniLM-L6-v2"
_SHARDS: Final = 2

# Answers shown of each question; a best one further down is shown too.
_SHOWN: Final = 3

_POLL_S: Final = 0.2
# Longer than a shard or the embedder takes to be restarted.
_PATIENCE_S: Final = 60.0


Corpus = Callable[[], Sequence[Document]]


def run_demo(settings: LocalSettings, corpus: Corpus, console: Console) -> int:
    """Return the exit status: 0, or 1 when a question's best answer was not found."""
    layout = Layout.at(settings.data_dir)
    if running_supervisor(layout.lock_file) is not None:
        console.print(f"The stack of {layout.root} runs already.", highlight=False, soft_wrap=True)
        return _demonstrate(_await_running(layout, settings.ready_timeout_s), corpus, console)
    with terminable():
        started, state = start_and_await(settings, layout, console, bound_to_caller=True)
        try:
            status = _demonstrate(state.api_url, corpus, console)
            if sys.stdout.isatty():
                console.print("Ctrl-C stops it.")
                with suppress(KeyboardInterrupt):
                    stay(started, state, console)
                console.print("Stopping.")
        finally:
            control.stop_started(started, settings.drain_grace_s)
    return status


def _demonstrate(api_url: str, corpus: Corpus, console: Console) -> int:
    answered = asyncio.run(_ask_everything(api_url, corpus, console))
    console.print()
    console.print(addresses(api_url))
    return 0 if answered else 1


def _await_running(layout: Layout, timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    while (report := inspect(layout)) is not None:
        if report.ready:
            return report.api_url
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    raise Unavailable("the stack that runs is not ready; see `hana-x-vector status`")


async def _ask_everything(api_url: str, corpus: Corpus, console: Console) -> bool:
    async with Access(api_url).client(_PATIENCE_S) as client:
        await _index(client, corpus, console)
        table = _answer_table()
        answered = [await _ask(client, question, table) for question in QUESTIONS]
    console.print()
    console.print(table)
    for question, found in zip(QUESTIONS, answered, strict=True):
        if not found:
            best = " or ".join(sorted(question.best))
            console.print(
                f"Not answered: {question.text}? ({best} is not among the first {ANSWERS})", style="red"
            )
    return all(answered)


async def _index(client: AsyncVectorClient, corpus: Corpus, console: Console) -> None:
    models = (await client.ready()).models
    if _MODEL not in models:
        served = ", ".join(models) or "none"
        raise FailedPrecondition(
            f"the demo asks by meaning and needs the model {_MODEL}; this stack serves {served}. "
            "Start it with HANAX_EMBEDDER_BACKEND and HANAX_EMBEDDER_MODEL unset"
        )
    began = time.monotonic()
    embedded = await client.embed("hello", model=_MODEL)
    target = Target(_COLLECTION, _MODEL, embedded.dimension, _SHARDS)
    documents = corpus()
    console.print(
        f"{len(documents):,} texts: what Python {sys.version.split()[0]} says of its standard library",
        highlight=False,
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("indexing", total=None)
        indexed = await index_corpus(
            client,
            target,
            documents,
            lambda done, missing: progress.update(
                task,
                completed=done + len(documents) - missing,
                total=len(documents),
            ),
        )
    seconds = time.monotonic() - began
    if indexed:
        rate = indexed / seconds
        console.print(f"{indexed:,} indexed in {seconds:.1f} s ({rate:,.0f}/s)", highlight=False)
    else:
        console.print("all indexed by an earlier run", highlight=False)


async def _ask(client: AsyncVectorClient, question: Question, table: Table) -> bool:
    hits = await client.search(_COLLECTION, text=question.text, limit=ANSWERS)
    ids = [str(one) for one in hits.ids]
    if table.row_count:
        table.add_row()
    table.add_row("", "", Text(f"{question.text}?", style="bold"), "")
    for place in _shown_places(question, ids):
        hit = hits[place]
        right = ids[place] in question.best
        table.add_row(
            str(place + 1),
            f"{hit.score:.3f}",
            Text(ids[place], style="green" if right else ""),
            (hit.metadata or {})["found_at"],
        )
    return is_answered(question, ids)


def _shown_places(question: Question, ids: Sequence[str]) -> list[int]:
    """The first few, and the first best one."""
    best = [place for place, found in enumerate(ids) if found in question.best][:1]
    return sorted({*range(min(_SHOWN, len(ids))), *best})


def _answer_table() -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", justify="right")
    table.add_column("score", justify="right")
    table.add_column("answer")
    table.add_column("found at", no_wrap=True)
    return table
