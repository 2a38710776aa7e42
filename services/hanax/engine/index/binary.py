"""A flat index on binary codes: one bit a component, whether it is above the mean.

The share of differing bits follows the angle between two vectors (Charikar, STOC 2002), seen from the mean
of all. Lengths are lost, and so is most of the order: far more candidates are compared in full than for int8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.engine.index.protocol import Arrays, Source, Work
from hanax.engine.index.rescoring import NO_MASK
from hanax.engine.index.sampling import blocks_of, sample_of
from hanax.engine.index.space import Space
from hanax.engine.kernels import bits as kernel

_WORD_BITS = 64


class BinaryScan:
    """mean: float32[width]. codes: uint64[ceil(n / 8), words, 8] (hanax.engine.kernels.bits)."""

    def __init__(
        self, space: Space, mean: NDArray[np.float32], codes: NDArray[np.uint64], count: int
    ) -> None:
        self._space = space
        self._mean = mean
        self._codes = codes
        self._count = count

    @classmethod
    def build(cls, source: Source, work: Work) -> BinaryScan:
        space = Space.of(source)
        mean = sample_of(space, source).mean(axis=0, dtype=np.float64).astype(np.float32)
        count, words = len(source.vectors), -(-space.width // _WORD_BITS)
        shape = (-(-count // kernel.BLOCK_ROWS), words, kernel.BLOCK_ROWS)
        codes = work.allocate("codes", np.uint64, shape)
        for rows in blocks_of(count, work):
            size = rows.stop - rows.start
            # Blocks of rows start at whole blocks of codes; bits of rows that don't exist stay zero.
            padded = np.zeros((-(-size // kernel.BLOCK_ROWS) * kernel.BLOCK_ROWS, words), np.uint64)
            kernel.signs(space.rows(source, rows), mean, padded[:size])
            first = rows.start // kernel.BLOCK_ROWS
            blocks = padded.reshape(-1, kernel.BLOCK_ROWS, words).transpose(0, 2, 1)
            codes[first : first + len(blocks)] = blocks
        return cls(space, mean, codes, count)

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> BinaryScan:
        space = Space(source.metric, source.vectors.shape[1], parameters["longest"])
        return cls(space, arrays["mean"], arrays["codes"], len(source.vectors))

    @property
    def arrays(self) -> Arrays:
        return {"mean": self._mean, "codes": self._codes}

    @property
    def parameters(self) -> dict[str, Any]:
        return {"longest": self._space.longest}

    def candidates(
        self, queries: NDArray[np.float32], count: int, words: NDArray[np.uint64] | None
    ) -> NDArray[np.int64]:
        """The `count` rows whose codes differ least: int64[q, count]."""
        asked = np.empty((len(queries), self._codes.shape[1]), np.uint64)
        kernel.signs(self._space.queries(queries), self._mean, asked)
        found = np.empty((len(queries), count), np.int64)
        mask = NO_MASK if words is None else words
        kernel.scan_bits(self._codes, self._count, asked, words is not None, mask, found)
        return found
