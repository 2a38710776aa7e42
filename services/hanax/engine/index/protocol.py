"""What every index is: made from the rows of a segment, immutable, and searched under a mask.

An index is a set of arrays and a few parameters. Whoever builds one says where arrays are put
(`Allocate`), so that they can lie in files from the start; whoever opens one maps them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric

Arrays = Mapping[str, NDArray[Any]]
# (name, dtype, shape) -> a new array of zeros, writable.
Allocate = Callable[[str, Any, tuple[int, ...]], NDArray[Any]]


class Source(NamedTuple):
    """The rows an index stands for: float32[n, d]; under cosine their inverse norms, else float32[0]."""

    vectors: NDArray[np.float32]
    inverse_norms: NDArray[np.float32]
    metric: Metric


@dataclass(frozen=True, slots=True)
class Mask:
    """Allowed rows: uint64[ceil(n / 64)], bit i of word w is row 64 w + i; and how many there are."""

    words: NDArray[np.uint64]
    count: int


class Nearest(NamedTuple):
    """The rows nearest to each query, ascending, ties by row: float32[q, k], int64[q, k].

    Distances are those of hanax.core.distances. Where fewer were found, the rest is inf and -1.
    """

    distances: NDArray[np.float32]
    rows: NDArray[np.int64]


class Effort(Protocol):
    """How hard a search tries, in the index's own unit: ef_search, nprobe, probes, rows compared in full."""

    def at(self, k: float) -> int:
        """The effort that finds k neighbours among all rows."""


class Work(NamedTuple):
    """How a build goes about it. Raises Cancelled soon after `stopped` is set."""

    allocate: Allocate
    stopped: threading.Event
    threads: int = 1


class Index(Protocol):
    @property
    def arrays(self) -> Arrays: ...

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON values: with the arrays, all that `load` needs."""

    @property
    def efforts(self) -> tuple[int, ...]:
        """Efforts worth trying, ascending, the last as good as it gets; empty when every answer is exact."""

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        """The k nearest allowed rows of each query.

        queries: float32[q, d], C-contiguous, finite, under cosine not zero; their length is free. k is
        at most the number of allowed rows, and k come back. Any thread may call.
        """


def memory_bytes(index: Index) -> int:
    """Bytes of the index's own arrays. The full vectors are the segment's."""
    return sum(array.nbytes for array in index.arrays.values())
