"""Product quantisation (Jégou, Douze & Schmid, TPAMI 2011): a vector as one code for each of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanax.core.index_specs import ProductQuantisation
from hanax.engine.kernels import product as kernel

_TRAINING_ROWS = 16_384
_PASSES = 10
# Parts of a vector where nothing else is asked for: more distinguish better, fewer are read faster, and the
# int8 codes that are compared next make good for it. Four bits for two components are the most that pays.
_PARTS = 96
_PART_DIMENSIONS = range(2, 9)


@dataclass(frozen=True, slots=True)
class ProductQuantiser:
    """books: float32[parts, part dimension, 16 or 256], in steps of the scalar quantiser."""

    books: NDArray[np.float32]

    @classmethod
    def fit(cls, spec: ProductQuantisation, dimension: int, sample: NDArray[np.uint8]) -> ProductQuantiser:
        """Learn from int8 codes, uint8[n, padded] with n >= 1, of which the first `dimension` components
        count.
        """
        part = spec.part_dimension or _part_dimension(dimension)
        books = np.zeros((-(-dimension // part), part, 2**spec.bits), np.float32)
        kernel.train(sample[:_TRAINING_ROWS], books, _PASSES)
        return cls(books)

    @property
    def parts(self) -> int:
        return len(self.books)

    def encode(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """From int8 codes, uint8[n, padded], to uint8[n, parts]."""
        parts = np.empty((len(codes), self.parts), np.uint8)
        kernel.encode(codes, self.books, parts)
        return parts


def _part_dimension(dimension: int) -> int:
    return min(max(round(dimension / _PARTS), _PART_DIMENSIONS[0]), _PART_DIMENSIONS[-1])
