"""A batch of queries on its way through the lists of an IVF index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.engine.index.protocol import Mask
from hanax.engine.index.scalar import Encoded
from hanax.engine.index.space import Space

_NO_WORDS = np.empty(0, np.uint64)
_MORE_UNDER_MASKS = 4


class Probe(NamedTuple):
    """queries: float32[q, d], and their codes.

    nprobe: lists that each query reads at least. Under a mask it reads on where they hold less than the mean
    share of allowed rows, until it has met `enough`.
    """

    space: Space
    queries: NDArray[np.float32]
    encoded: Encoded
    k: int
    rows: int
    nprobe: int
    enough: int
    mask: Mask | None

    def most(self, kept: int) -> int:
        """Rows compared in full: so many, or more under a mask, where codes tell far rows hardly apart."""
        return kept if self.mask is None else max(kept, 3 * self.k // 2 + _MORE_UNDER_MASKS)

    def places(self, count: int) -> NDArray[np.int64]:
        return np.empty((len(self.queries), count), np.int64)

    @property
    def share(self) -> float:
        """Of the allowed rows among all."""
        return 1.0 if self.mask is None else self.mask.count / self.rows

    @property
    def masking(self) -> tuple[bool, NDArray[np.uint64]]:
        return self.mask is not None, _NO_WORDS if self.mask is None else self.mask.words


class Compared(NamedTuple):
    """Queries, and rows with their norms by position: what hanax.engine.kernels.distance takes."""

    queries: NDArray[np.uint8] | NDArray[np.float32]
    stored: NDArray[np.uint8] | NDArray[np.float32]
    norms: NDArray[np.int32]
