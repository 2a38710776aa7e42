"""Databases in processes, where their searches are timed.

Those that take microseconds share one: between processes, each would find its memory cold. The slow ones have
processes of their own: memory that they map and let go of would cost the others' searches page faults.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.filter.cases import Expression, points_of
from benchmarks.filter.contestants import CONTESTANTS, Searcher
from benchmarks.processes import received

# To hold and index all points; the slowest takes some minutes on two busy cores.
_OPENING_S: Final = 1_800.0
_ANSWER_S: Final = 600.0
_END_S: Final = 30.0


class Timed(NamedTuple):
    """Of each query: seconds that it took, and rows that were found."""

    seconds: list[float]
    rows: list[list[int]]


class Worker:
    """A contestant that is open in another process. Raises RuntimeError when that has ended."""

    def __init__(self, name: str, pipe: Connection) -> None:
        self.contestant = CONTESTANTS[name]
        self._name = name
        self._pipe = pipe
        # What it took to hold and index all points.
        self.opened_s: float = self._receive(_OPENING_S)

    def prepare(self, filters: Sequence[Expression]) -> None:
        """The filters of the queries that are asked from now on, by number."""
        self._pipe.send((self._name, list(filters)))
        self._receive(_ANSWER_S)

    def search(self, effort: int | None, numbers: Sequence[int], most_s: float) -> Timed:
        """Of the first of the queries, until so much time has passed; of one at least."""
        self._pipe.send((self._name, (effort, list(numbers), most_s)))
        found: Timed = self._receive(_ANSWER_S)
        return found

    def _receive(self, timeout_s: float) -> Any:
        return received(self._pipe, timeout_s, self.contestant.name)


@contextmanager
def started(names: Sequence[str], quick: bool) -> Iterator[list[Worker]]:
    """names: keys of CONTESTANTS, which share a process. It ends with the block."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(names, quick, theirs))
    process.start()
    theirs.close()
    try:
        yield [Worker(name, ours) for name in names]
    finally:
        ours.close()
        process.join(_END_S)
        process.kill()
        process.join()


def _serve(names: Sequence[str], quick: bool, pipe: Connection) -> None:
    points = points_of(quick)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        searchers: dict[str, Searcher] = {}
        for name in names:
            begun = time.perf_counter()
            searchers[name] = stack.enter_context(CONTESTANTS[name].open(points, folder))
            pipe.send(time.perf_counter() - begun)
        filters: dict[str, list[Any]] = {}
        while True:
            try:
                name, asked = pipe.recv()
            except EOFError:
                return
            searcher = searchers[name]
            if isinstance(asked, list):
                filters[name] = [searcher.prepare(expression) for expression in asked]
                pipe.send(None)
            else:
                pipe.send(_timed(searcher, filters[name], *asked))


def _timed(
    searcher: Searcher, filters: Sequence[Any], effort: int | None, numbers: Sequence[int], left_s: float
) -> Timed:
    searcher.set_effort(effort)
    seconds: list[float] = []
    answers = []
    for number in numbers:
        begun = time.perf_counter()
        answer = searcher.search(number, filters[number], effort)
        seconds.append(time.perf_counter() - begun)
        answers.append(answer)
        left_s -= seconds[-1]
        if left_s <= 0:
            break
    return Timed(seconds, [searcher.rows(answer) for answer in answers])
