"""Points as columns: what goes into a shard and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray


class Projection(NamedTuple):
    """What of each point is read beside its id and times."""

    metadata: bool = True
    vectors: bool = False
    versions: bool = False


METADATA_ONLY = Projection()


# Not frozen: a search makes many of them, and a frozen one takes three times as long.
@dataclass(slots=True)
class Points:
    """n points. A column that the projection left out is None.

    versions: of each point, the sequence of the write that made it what it is. expires_at_us: 0 for a
    point that stays; None when all of them do.
    """

    ids: list[bytes]
    metadata: list[bytes] | None
    vectors: NDArray[np.float32] | None
    created_at_us: NDArray[np.int64]
    updated_at_us: NDArray[np.int64]
    versions: NDArray[np.uint64] | None = None
    expires_at_us: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, order: list[int]) -> Points:
        """The same points in another order."""
        return Points(
            [self.ids[place] for place in order],
            None if self.metadata is None else [self.metadata[place] for place in order],
            None if self.vectors is None else self.vectors[order],
            self.created_at_us[order],
            self.updated_at_us[order],
            None if self.versions is None else self.versions[order],
            None if self.expires_at_us is None else self.expires_at_us[order],
        )

    def part(self, start: int, end: int) -> Points:
        """The points from `start` up to `end`; arrays are shared."""
        return Points(
            self.ids[start:end],
            None if self.metadata is None else self.metadata[start:end],
            None if self.vectors is None else self.vectors[start:end],
            self.created_at_us[start:end],
            self.updated_at_us[start:end],
            None if self.versions is None else self.versions[start:end],
            None if self.expires_at_us is None else self.expires_at_us[start:end],
        )


@dataclass(slots=True)
class Hits:
    """The nearest points of one query, ascending by (distance, id). distances: float32[k]."""

    distances: NDArray[np.float32]
    points: Points


class BatchHits(Sequence[Hits]):
    """The hits of each query of a batch. They stay in columns, and are cut apart when they are looked at."""

    def __init__(self, distances: NDArray[np.float32], points: Points, ends: Sequence[int]) -> None:
        """distances: float32[n], and n points, query after query. ends: where each query's hits end."""
        self._distances = distances
        self._points = points
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, number: int) -> Hits: ...
    @overload
    def __getitem__(self, number: slice) -> list[Hits]: ...
    def __getitem__(self, number: int | slice) -> Hits | list[Hits]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        end = self._ends[number]
        start = 0 if number in (0, -len(self)) else self._ends[number - 1]
        return Hits(self._distances[start:end], self._points.part(start, end))
