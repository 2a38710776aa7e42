"""The rows as an HNSW graph compares them: codes of one byte a component, or float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import NoQuantisation, ScalarQuantisation
from hanax.engine.index.protocol import Arrays, Source, Work
from hanax.engine.index.sampling import blocks_of, sample_of
from hanax.engine.index.scalar import ScalarQuantiser
from hanax.engine.index.space import Space

# float32 rows are read in pieces of this many.
_PIECE = 16
_NO_NORMS = np.empty(0, np.int32)


class Comparable(NamedTuple):
    """What `hanax.engine.kernels.distance` takes: uint8 or float32[m, w], int32[m]."""

    matrix: NDArray[Any]
    constants: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class WalkedRows:
    """matrix: uint8[n, w] and norms: int32[n] with a quantiser, else float32[n, w] and int32[0]."""

    space: Space
    quantiser: ScalarQuantiser | None
    matrix: NDArray[Any]
    norms: NDArray[np.int32]

    @classmethod
    def build(
        cls, source: Source, quantisation: ScalarQuantisation | NoQuantisation, work: Work
    ) -> tuple[WalkedRows, NDArray[np.int32]]:
        """The rows, and their constants as queries: int32[n]. Raises Cancelled."""
        space = Space.of(source)
        count = len(source.vectors)
        quantiser = None
        norms = _NO_NORMS
        if isinstance(quantisation, ScalarQuantisation):
            quantiser = ScalarQuantiser.fit(space, sample_of(space, source))
            matrix = work.allocate("codes", np.uint8, (count, quantiser.code_bytes))
            norms = work.allocate("norms", np.int32, (count,))
        else:
            matrix = work.allocate("rows", np.float32, (count, -(-space.width // _PIECE) * _PIECE))
        rows = cls(space, quantiser, matrix, norms)
        constants = np.zeros(count, np.int32)
        for block in blocks_of(count, work):
            mapped = space.rows(source, block)
            if quantiser is None:
                matrix[block, : space.width] = mapped
            else:
                encoded = quantiser.encode(mapped)
                matrix[block], norms[block] = encoded.codes, encoded.norms
                constants[block] = encoded.constants
        return rows, constants

    def queries(self, queries: NDArray[np.float32]) -> Comparable:
        """float32[q, dimension], under cosine not zero."""
        if self.quantiser is not None:
            cosine = self.space.metric is Metric.COSINE
            encoded = self.quantiser.encode(queries if cosine else self.space.queries(queries), unit=cosine)
            return Comparable(encoded.codes, encoded.constants)
        mapped = self.space.queries(queries)
        padded = np.zeros((len(mapped), self.matrix.shape[1]), np.float32)
        padded[:, : self.space.width] = mapped
        return Comparable(padded, np.zeros(len(mapped), np.int32))

    @property
    def arrays(self) -> Arrays:
        if self.quantiser is None:
            return {"rows": self.matrix}
        return {"codes": self.matrix, "norms": self.norms, **self.quantiser.arrays}

    @property
    def parameters(self) -> dict[str, Any]:
        parameters = {} if self.quantiser is None else self.quantiser.parameters
        return {**parameters, "longest": self.space.longest}

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> WalkedRows:
        space = Space(source.metric, source.vectors.shape[1], parameters["longest"])
        if "rows" in arrays:
            return cls(space, None, arrays["rows"], _NO_NORMS)
        quantiser = ScalarQuantiser.load(arrays, parameters)
        return cls(space, quantiser, arrays["codes"], arrays["norms"])
