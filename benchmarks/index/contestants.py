"""What is compared: something that builds an index into a folder, opens it, and searches at an effort.

A contestant is built in one process and searched in another, so that what it builds is what it
can keep, and so that memory and CPU time of a build are its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.datasets import Dataset


@dataclass
class Built:
    """What a build took. counted: what the bytes are of."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    bytes: int = 0
    counted: str = ""
    about: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """CPU time of all threads of this process, and time on the clock, in the block."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu_s += time.process_time() - cpu
        self.wall_s += time.perf_counter() - wall


class Searcher(Protocol):
    """An index that is open. `search` is what is timed; `rows` turns its answer into int64[q, K]."""

    def search(self, effort: Any) -> Any: ...

    def rows(self, answer: Any) -> NDArray[np.int64]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Contestant:
    """ladders: what `search` takes, each from the cheapest up; a rung that others beat does no harm.

    opened with the data set, because a library may need its vectors to refine, and the queries prepared.
    """

    name: str
    library: str
    ladders: Callable[[Dataset], Sequence[Sequence[Any]]]
    build: Callable[[Dataset, Path], Built]
    open: Callable[[Dataset, Path], Searcher]

    @property
    def ours(self) -> bool:
        return self.library == "hanax"


def all_contestants() -> dict[str, Contestant]:
    """By name. hnswlib is first: it is what the others are measured in."""
    from benchmarks.index import ours, peers

    return {contestant.name: contestant for contestant in (*peers.CONTESTANTS, *ours.CONTESTANTS)}
