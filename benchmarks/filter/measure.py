"""Every case against every contestant, in turn, in blocks of queries; time on the clock.

An effort is timed when the cheaper ones found too little of some first queries. What an effort found in all
the queries that it answered is its recall, so that no answer that was timed goes unchecked.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from benchmarks.filter.cases import Case, Points, cases_of, points_of
from benchmarks.filter.contestants import CONTESTANTS
from benchmarks.filter.workers import Worker, started

# So many that the processor's caches, which the others had, matter little to the median.
_BLOCK: Final = 100
# Tried at every effort of a ladder, to see where it ends; a contestant without one tries less.
_TRIED: Final = 60
_TRIED_ALONE: Final = 20
_ROUNDS: Final = 3
_SEED: Final = 10
# An effort that found so much of them is the last that is timed.
_ENOUGH_RECALL: Final = 0.995
# Timed searches of one contestant in one case take no longer than this, and one query.
_BUDGET_S: Final = 4.0


@dataclass
class _Effort:
    effort: int | None
    hits: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    short: int = 0

    @property
    def recall(self) -> float:
        return statistics.fmean(self.hits.values())


def run(names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """One entry for each case and contestant. names: keys of CONTESTANTS."""
    points = points_of(quick)
    found: list[dict[str, Any]] = []
    random = Random(_SEED)
    with ExitStack() as stack:
        workers: list[Worker] = []
        fast = [name for name in names if not CONTESTANTS[name].is_slow]
        slow = [[name] for name in names if CONTESTANTS[name].is_slow]
        for sharing in filter(None, (fast, *slow)):
            for worker in stack.enter_context(started(sharing, quick)):
                workers.append(worker)
                print(f"{worker.contestant.name}: built in {worker.opened_s:.0f} s", flush=True)
        for case in cases_of(points, quick):
            timed = [_Timed(worker, case, points) for worker in workers]
            for is_slow in (False, True):
                _take_turns([one for one in timed if one.is_slow == is_slow], len(case.filters), random)
            found += [one.entry() for one in timed]
            _show(case, found[-len(timed) :])
    return found


def _take_turns(timed: list[_Timed], count: int, random: Random) -> None:
    for _ in range(_ROUNDS):
        for first in range(0, count, _BLOCK):
            # Each comes after each other one, which leaves its data in the caches.
            random.shuffle(timed)
            for one in timed:
                one.time(range(count)[first : first + _BLOCK])


class _Timed:
    """One contestant in one case."""

    def __init__(self, worker: Worker, case: Case, points: Points) -> None:
        self._worker, self._case, self._points = worker, case, points
        worker.prepare(case.filters)
        self._left_s = _BUDGET_S
        self._efforts: list[_Effort] = []
        efforts = worker.contestant.efforts
        first = range(_TRIED if len(efforts) > 1 else _TRIED_ALONE)[: len(case.filters)]
        for effort in efforts:
            tried = _Effort(effort)
            self._search(tried, first, math.inf)
            # The first searches after others had the caches.
            tried.seconds.clear()
            self._efforts.append(tried)
            if tried.recall >= _ENOUGH_RECALL:
                break

    @property
    def is_slow(self) -> bool:
        return self._worker.contestant.is_slow

    def time(self, numbers: Sequence[int]) -> None:
        """A block of queries at every effort, unless enough time went into this case."""
        if self._left_s > 0:
            for effort in self._efforts:
                self._left_s -= self._search(effort, numbers, self._left_s)

    def _search(self, effort: _Effort, numbers: Sequence[int], most_s: float) -> float:
        """Seconds that it took."""
        timed = self._worker.search(effort.effort, numbers, most_s)
        effort.seconds += timed.seconds
        # Fewer are answered than asked where the time was up.
        for number, rows in zip(numbers, timed.rows, strict=False):
            effort.short += len(rows) < self._case.wanted(number)
            if number not in effort.hits:
                effort.hits[number] = self._case.hits(self._points, number, rows)
        return sum(timed.seconds)

    def entry(self) -> dict[str, Any]:
        return {
            "part": "search",
            "contestant": self._worker.contestant.name,
            "kind": self._case.kind,
            "share": self._case.share,
            "few": self._case.is_few,
            "matches": statistics.fmean(self._case.matches.tolist()),
            "efforts": [
                {
                    "effort": effort.effort,
                    "recall": effort.recall,
                    "short_answers": effort.short,
                    "p50_us": 1e6 * statistics.median(effort.seconds),
                    "queries": len(effort.hits),
                    "timed": len(effort.seconds),
                }
                for effort in self._efforts
            ],
        }


def _show(case: Case, entries: Sequence[dict[str, Any]]) -> None:
    print(f"\n{case.kind}, {case.share:.3%}")
    for entry in entries:
        for found in entry["efforts"]:
            effort = "" if found["effort"] is None else found["effort"]
            print(
                f"  {entry['contestant']:12s} {effort!s:>4s} {found['p50_us']:10,.0f} us"
                f"  recall {found['recall']:.4f}  short {found['short_answers']}",
                flush=True,
            )
