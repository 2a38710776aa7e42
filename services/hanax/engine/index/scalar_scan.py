"""A flat index on int8 codes: a quarter of the bytes to read, and exact integers to compare."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.index.protocol import Arrays, Source, Work
from hanax.engine.index.rescoring import NO_MASK
from hanax.engine.index.sampling import blocks_of, sample_of
from hanax.engine.index.scalar import ScalarQuantiser
from hanax.engine.index.space import Space
from hanax.engine.kernels.code_scan import scan_codes


class ScalarScan:
    """codes: uint8[n, padded], norms: int32[n] (hanax.engine.kernels.distance)."""

    def __init__(
        self, space: Space, quantiser: ScalarQuantiser, codes: NDArray[np.uint8], norms: NDArray[np.int32]
    ) -> None:
        self._space = space
        self._quantiser = quantiser
        self._codes = codes
        self._norms = norms

    @classmethod
    def build(cls, source: Source, work: Work) -> ScalarScan:
        space = Space.of(source)
        quantiser = ScalarQuantiser.fit(space, sample_of(space, source))
        count = len(source.vectors)
        codes = work.allocate("codes", np.uint8, (count, quantiser.code_bytes))
        norms = work.allocate("norms", np.int32, (count,))
        for rows in blocks_of(count, work):
            encoded = quantiser.encode(space.rows(source, rows))
            codes[rows] = encoded.codes
            norms[rows] = encoded.norms
        return cls(space, quantiser, codes, norms)

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> ScalarScan:
        space = Space(source.metric, source.vectors.shape[1], parameters["longest"])
        quantiser = ScalarQuantiser.load(arrays, parameters)
        return cls(space, quantiser, arrays["codes"], arrays["norms"])

    @property
    def arrays(self) -> Arrays:
        return {"codes": self._codes, "norms": self._norms, **self._quantiser.arrays}

    @property
    def parameters(self) -> dict[str, Any]:
        return {"longest": self._space.longest, **self._quantiser.parameters}

    def candidates(
        self, queries: NDArray[np.float32], count: int, words: NDArray[np.uint64] | None
    ) -> NDArray[np.int64]:
        """The `count` rows with the nearest codes: int64[q, count]."""
        cosine = self._space.metric is Metric.COSINE
        encoded = self._quantiser.encode(queries if cosine else self._space.queries(queries), unit=cosine)
        found = np.empty((len(queries), count), np.int64)
        scan_codes(
            self._space.l1,
            self._codes,
            self._norms,
            encoded.codes,
            encoded.constants,
            words is not None,
            NO_MASK if words is None else words,
            found,
        )
        return found
