"""Recall and speed of batches: every contestant, every effort worth timing, in turn, round after round.

CPU time of the process, which runs on one core: it holds what the kernel does for it, and leaves out
what the machine does for others. All queries in one call, for every library alike.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.index.contestants import Contestant, Searcher, all_contestants
from benchmarks.index.curves import Point
from benchmarks.index.datasets import Dataset, load

# Efforts below are not timed again, and above none is tried: the targets are 0.95 and 0.99.
_LEAST_RECALL: Final = 0.85
_MOST_RECALL: Final = 0.9985
_ENOUGH_RECALL: Final = 0.993
# Rungs that together find so little more are the last: what is missing lies elsewhere than in the effort.
_FLAT_RUNGS: Final = 3
_LEAST_GAIN: Final = 3e-4
# One effort is timed for at least this long in a round, so that the clock's steps do not count.
_LEAST_S: Final = 0.05
# Timings that decide what is worth timing: one alone may have been disturbed.
_FIRST_TIMINGS: Final = 3


def build(name: str, data: str, folder: str, quick: bool) -> dict[str, Any]:
    """Build one contestant's index into a new folder; what that took."""
    loaded = load(data, quick)
    place = Path(folder)
    place.mkdir(parents=True)
    built = all_contestants()[name].build(loaded, place)
    return {
        "cpu_s": built.cpu_s,
        "wall_s": built.wall_s,
        "memory_bytes": built.bytes,
        "memory_counted": built.counted,
        **built.about,
    }


class _Timed:
    """One contestant, open, and the efforts that are timed, with their CPU seconds per call."""

    def __init__(self, contestant: Contestant, data: Dataset, folder: Path) -> None:
        self.searcher: Searcher = contestant.open(data, folder)
        self.recalls: dict[str, float] = {}
        self.seconds: dict[str, list[float]] = {}
        self.efforts: dict[str, Any] = {}
        self._queries = len(data.queries)
        for ladder in contestant.ladders(data):
            self._climb(ladder, data)

    def _climb(self, ladder: Sequence[Any], data: Dataset) -> None:
        """Measure the recall of each rung, and roughly its speed, up to where there is no more to find."""
        climbed: list[float] = []
        for effort in ladder:
            name = name_of(effort)
            answer = self.searcher.search(effort)
            self.efforts[name] = effort
            self.recalls[name] = data.recall(self.searcher.rows(answer))
            self.seconds[name] = []
            for _ in range(_FIRST_TIMINGS):
                self.time(name)
            climbed.append(self.recalls[name])
            is_flat = len(climbed) > _FLAT_RUNGS and climbed[-1] - climbed[-1 - _FLAT_RUNGS] < _LEAST_GAIN
            if climbed[-1] >= _MOST_RECALL or is_flat or self._is_hopeless(name):
                break

    def _is_hopeless(self, name: str) -> bool:
        """Whether a rung of another ladder finds enough in less time: the next ones are only slower."""
        return any(
            self.recalls[other] >= _ENOUGH_RECALL > self.recalls[name]
            and min(self.seconds[other]) < min(self.seconds[name])
            for other in self.efforts
        )

    def time(self, name: str) -> None:
        effort, calls = self.efforts[name], 0
        started = time.process_time()
        while (spent := time.process_time() - started) < _LEAST_S:
            self.searcher.search(effort)
            calls += 1
        self.seconds[name].append(spent / calls)

    def worth_timing(self) -> list[str]:
        """Efforts near the targets that no other effort, by the first timings, is clearly better than."""
        rough = {name: min(seconds) for name, seconds in self.seconds.items()}
        return [
            name
            for name, recall in self.recalls.items()
            if recall >= _LEAST_RECALL
            and not any(
                self.recalls[other] >= recall and rough[other] < 0.8 * rough[name]
                for other in self.recalls
                if other != name
            )
        ]

    def points(self) -> list[Point]:
        return [
            Point(name, self.recalls[name], self._queries / statistics.median(self.seconds[name]))
            for name in self.efforts
        ]


def search(data: str, folders: dict[str, str], rounds: int, quick: bool) -> dict[str, list[Any]]:
    """The points of every contestant, as lists. folders: what `build` filled, by the contestant's name."""
    loaded = load(data, quick)
    known = all_contestants()
    timed = {}
    for name, folder in folders.items():
        timed[name] = _Timed(known[name], loaded, Path(folder))
        found = timed[name]
        print(
            f"  {name}: {len(found.efforts)} efforts, recall up to {max(found.recalls.values()):.4f}",
            flush=True,
        )
    gc.collect()
    gc.disable()
    chosen = {name: found.worth_timing() for name, found in timed.items()}
    for _ in range(rounds):
        for turn in range(max(map(len, chosen.values()))):
            for name, efforts in chosen.items():
                if turn < len(efforts):
                    timed[name].time(efforts[turn])
    points = {name: [list(point) for point in found.points()] for name, found in timed.items()}
    for found in timed.values():
        found.searcher.close()
    return points


def name_of(effort: Any) -> str:
    """Such as 40, 20x100 or ef_search=40."""
    if isinstance(effort, int):
        return str(effort)
    if isinstance(effort, tuple):
        return "x".join(map(str, effort))
    given = effort.model_dump(exclude_defaults=True)
    return ", ".join(f"{name}={value}" for name, value in given.items())
