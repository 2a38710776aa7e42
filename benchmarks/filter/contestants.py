"""What every database under measurement does: hold the points, and answer one query under one filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.filter import chroma, hanax_shard, postgres, qdrant
from benchmarks.filter.cases import Expression, Points


class Searcher(Protocol):
    """An open database with all points, indexed."""

    def prepare(self, expression: Expression) -> Any:
        """The filter in the database's own form, which is made once and not timed."""

    def set_effort(self, effort: int | None) -> None:
        """Not timed."""

    def search(self, number: int, filter: Any, effort: int | None) -> Any:
        """What is timed: the K nearest of query `number` that match, with their metadata."""

    def rows(self, answer: Any) -> list[int]: ...


@dataclass(frozen=True)
class Contestant:
    """efforts: from the cheapest up; None is what the database takes when nothing is said. is_slow: it takes
    milliseconds, and its turns come after those of the fast ones, who would find their memory cold each time.
    """

    name: str
    efforts: Sequence[int | None]
    open: Callable[[Points, Path], AbstractContextManager[Searcher]]
    is_slow: bool = False


CONTESTANTS: Final = {
    "hanax": Contestant("hanax", (None,), hanax_shard.opened),
    "qdrant": Contestant("qdrant-edge", qdrant.EFS, qdrant.opened),
    "chroma": Contestant("chroma", (None,), chroma.opened, is_slow=True),
    "pgvector": Contestant("pgvector", postgres.EFS, postgres.opened, is_slow=True),
}
OURS: Final = CONTESTANTS["hanax"].name
