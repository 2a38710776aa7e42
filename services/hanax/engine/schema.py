"""The vector columns of a shard, fixed for its life, and what is said of its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import DimensionMismatch, InvalidArgument, NonFiniteVector, ZeroVector
from hanax.core.limits import MAX_VECTOR_NORM, MIN_COSINE_NORM
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.kernels.lengths import first_outside

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VectorField:
    dimension: int
    metric: Metric

    def check(self, vectors: NDArray[np.generic], what: str = "vector") -> Vectors:
        """Return `vectors` as C-contiguous float32[n, dimension].

        Raises DimensionMismatch, NonFiniteVector (NaN, infinity, longer than MAX_VECTOR_NORM) or
        ZeroVector (under cosine), naming the first bad row.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            got = vectors.shape[1] if vectors.ndim == 2 else vectors.shape
            raise DimensionMismatch(
                f"expected vectors of {self.dimension} floats, got {got}",
                expected=self.dimension,
            )
        if vectors.dtype == np.float32:
            rows = np.ascontiguousarray(vectors)
        else:
            with np.errstate(over="ignore"):
                # Numbers past float32 become infinite, and are refused as such.
                rows = np.ascontiguousarray(vectors, dtype=np.float32)
        least = MIN_COSINE_NORM if self.metric is Metric.COSINE else 0.0
        if (row := first_outside(rows, least, MAX_VECTOR_NORM)) >= 0:
            if first_outside(rows[row : row + 1], 0.0, MAX_VECTOR_NORM) < 0:
                raise ZeroVector(
                    f"{what} {row} has no direction: cosine needs a length above zero", index=row
                )
            raise NonFiniteVector(
                f"{what} {row} holds NaN or infinity, or is longer than {MAX_VECTOR_NORM:g}", index=row
            )
        return rows


@dataclass(frozen=True, slots=True)
class Schema:
    """payload_indexes: what is indexed of the metadata (`ShardOptions`). It is not kept with the columns."""

    fields: Mapping[str, VectorField]
    payload_indexes: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def single(cls, dimension: int, metric: Metric) -> Schema:
        """The schema of a collection with one unnamed vector per point."""
        return cls({DEFAULT_VECTOR: VectorField(dimension, metric)})

    def field(self, name: str) -> VectorField:
        try:
            return self.fields[name]
        except KeyError:
            known = ", ".join(sorted(self.fields))
            raise InvalidArgument(f"there is no vector {name!r}; expected one of: {known}") from None

    def to_data(self) -> dict[str, dict[str, Any]]:
        return {
            name: {"dimension": field.dimension, "metric": field.metric.value}
            for name, field in self.fields.items()
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Mapping[str, Any]]) -> Schema:
        return cls(
            {name: VectorField(field["dimension"], Metric(field["metric"])) for name, field in data.items()}
        )


def inverse_norms(vectors: Vectors) -> NDArray[np.float32]:
    """1 / L2 norm of each row: float32[n]. Rows have passed `VectorField.check` under cosine."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    inverse: NDArray[np.float32] = (1.0 / norms).astype(np.float32)
    return inverse
