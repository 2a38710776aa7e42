"""Every case against every contestant, in turn, in blocks of queries; time on the clock.

An effort is timed when the cheaper ones found too little of some first queries. What an effort found in all
the queries that it answered is its recall, so that no answer that was timed goes unchecked.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.filter.cases import Case, Points, cases_of, points_of
from benchmarks.filter.contestants import CONTESTANTS, Contestant, Searcher

_BLOCK: Final = 20
# Tried at every effort of a ladder, to see where it ends; a contestant without one tries a block.
_TRIED: Final = 60
_ROUNDS: Final = 3
_SEED: Final = 10
# An effort that found so much of them is the last that is timed.
_ENOUGH_RECALL: Final = 0.995
# Timed searches of one contestant in one case take no longer than this, and a block.
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
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        opened: list[tuple[Contestant, Searcher]] = []
        for name in names:
            started = time.perf_counter()
            contestant = CONTESTANTS[name]
            opened.append((contestant, stack.enter_context(contestant.open(points, folder))))
            print(f"{contestant.name}: built in {time.perf_counter() - started:.0f} s", flush=True)
        for case in cases_of(points, quick):
            timed = [_Timed(contestant, searcher, case, points) for contestant, searcher in opened]
            order, queries = list(timed), range(len(case.filters))
            for _ in range(_ROUNDS):
                for first in range(0, len(queries), _BLOCK):
                    # Each comes after each other one, which leaves its data in the caches.
                    random.shuffle(order)
                    for one in order:
                        one.time(queries[first : first + _BLOCK])
            found += [one.entry() for one in timed]
            _show(case, found[-len(timed) :])
    return found


class _Timed:
    """One contestant in one case."""

    def __init__(self, contestant: Contestant, searcher: Searcher, case: Case, points: Points) -> None:
        self._contestant, self._searcher = contestant, searcher
        self._case, self._points = case, points
        self._filters = [searcher.prepare(expression) for expression in case.filters]
        self._left_s = _BUDGET_S
        self._efforts: list[_Effort] = []
        first = range(_TRIED if len(contestant.efforts) > 1 else _BLOCK)[: len(self._filters)]
        for effort in contestant.efforts:
            tried = _Effort(effort)
            self._search(tried, first)
            # The first searches after others had the caches.
            tried.seconds.clear()
            self._efforts.append(tried)
            if tried.recall >= _ENOUGH_RECALL:
                break

    def time(self, numbers: Sequence[int]) -> None:
        """A block of queries at every effort, unless enough time went into this case."""
        if self._left_s > 0:
            for effort in self._efforts:
                self._left_s -= self._search(effort, numbers)

    def _search(self, effort: _Effort, numbers: Sequence[int]) -> float:
        """Seconds that it took."""
        self._searcher.set_effort(effort.effort)
        answers = []
        before = len(effort.seconds)
        for number in numbers:
            started = time.perf_counter()
            answer = self._searcher.search(number, self._filters[number], effort.effort)
            effort.seconds.append(time.perf_counter() - started)
            answers.append(answer)
        for number, answer in zip(numbers, answers, strict=True):
            rows = self._searcher.rows(answer)
            effort.short += len(rows) < self._case.wanted(number)
            if number not in effort.hits:
                effort.hits[number] = self._case.hits(self._points, number, rows)
        return sum(effort.seconds[before:])

    def entry(self) -> dict[str, Any]:
        return {
            "part": "search",
            "contestant": self._contestant.name,
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
