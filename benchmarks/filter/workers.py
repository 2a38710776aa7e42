"""Each database in a process of its own, where its searches are timed.

In one process, memory that one of them maps and lets go of would cost the others' searches page faults.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.filter.cases import Expression, points_of
from benchmarks.filter.contestants import CONTESTANTS, Contestant

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

    def __init__(self, contestant: Contestant, pipe: Connection) -> None:
        self.contestant = contestant
        self._pipe = pipe
        self._receive(_OPENING_S)

    def prepare(self, filters: Sequence[Expression]) -> None:
        """The filters of the queries that are asked from now on, by number."""
        self._pipe.send(list(filters))
        self._receive(_ANSWER_S)

    def search(self, effort: int | None, numbers: Sequence[int], most_s: float) -> Timed:
        """Of the first of the queries, until so much time has passed; of one at least."""
        self._pipe.send((effort, list(numbers), most_s))
        found: Timed = self._receive(_ANSWER_S)
        return found

    def _receive(self, timeout_s: float) -> Any:
        try:
            if self._pipe.poll(timeout_s):
                return self._pipe.recv()
        except EOFError:
            pass
        raise RuntimeError(f"{self.contestant.name} did not answer; what it said is above")


@contextmanager
def started(name: str, quick: bool) -> Iterator[Worker]:
    """name: a key of CONTESTANTS. Its process ends with the block."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(name, quick, theirs))
    process.start()
    theirs.close()
    try:
        yield Worker(CONTESTANTS[name], ours)
    finally:
        ours.close()
        process.join(_END_S)
        process.kill()
        process.join()


def _serve(name: str, quick: bool, pipe: Connection) -> None:
    points = points_of(quick)
    with tempfile.TemporaryDirectory() as folder, CONTESTANTS[name].open(points, Path(folder)) as searcher:
        pipe.send(None)
        filters: list[Any] = []
        while True:
            try:
                asked = pipe.recv()
            except EOFError:
                return
            if isinstance(asked, list):
                filters = [searcher.prepare(expression) for expression in asked]
                pipe.send(None)
                continue
            effort, numbers, left_s = asked
            searcher.set_effort(effort)
            timed = Timed([], [])
            answers = []
            for number in numbers:
                begun = time.perf_counter()
                answer = searcher.search(number, filters[number], effort)
                timed.seconds.append(time.perf_counter() - begun)
                answers.append(answer)
                left_s -= timed.seconds[-1]
                if left_s <= 0:
                    break
            timed.rows.extend(searcher.rows(answer) for answer in answers)
            pipe.send(timed)
