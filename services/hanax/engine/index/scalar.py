"""Scalar quantisation: one byte a component, one scale for all.

One scale, so that distances between codes are plain integer arithmetic. A few components that are much
larger than the rest would stretch it for all of them; where the sample shows that, vectors are rotated first,
which spreads every component over a block of others and keeps L2 distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.engine.index.protocol import Arrays
from hanax.engine.index.space import Space
from hanax.engine.kernels import codes as kernel

# Codes are read in pieces of 64 bytes.
_PIECE = 64
# This part of the sample's components fits into the codes' range; the rest is cut.
_COVERED = 0.9995
# Rotating costs a query some microseconds: it has to make the steps finer by this factor.
_WORTH_ROTATING = 1.5
_ROTATION_BLOCK = 128


@dataclass(frozen=True, slots=True)
class Encoded:
    """uint8[n, padded], and for L2 what the kernels need: int32[n] of rows, int32[n] of queries."""

    codes: NDArray[np.uint8]
    norms: NDArray[np.int32]
    constants: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ScalarQuantiser:
    """mean: float32[width]. A step is 1 / scale. order: int64[padded], rotation: float32[b, b], or empty."""

    mean: NDArray[np.float32]
    scale: float
    order: NDArray[np.int64]
    rotation: NDArray[np.float32]

    @classmethod
    def fit(cls, space: Space, sample: NDArray[np.float32]) -> ScalarQuantiser:
        """Learn from mapped rows, float32[n, width], n >= 1; some thousands are enough."""
        plain = cls._scaled(sample, np.empty(0, np.int64), np.empty((0, 0), np.float32))
        if space.l1 or space.width < 2:
            return plain
        random = np.random.default_rng(7)
        block = min(_ROTATION_BLOCK, space.width)
        order = random.permutation(-(-space.width // block) * block)
        rotation = np.linalg.qr(random.standard_normal((block, block)))[0].astype(np.float32)
        turned = cls._scaled(sample, order, rotation)
        return turned if turned.scale > _WORTH_ROTATING * plain.scale else plain

    @classmethod
    def _scaled(
        cls, sample: NDArray[np.float32], order: NDArray[np.int64], rotation: NDArray[np.float32]
    ) -> ScalarQuantiser:
        turned = _turn(sample, order, rotation)
        mean = turned.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = float(np.quantile(np.abs(turned - mean), _COVERED))
        return cls(mean, 127.0 / spread if spread > 0.0 else 1.0, order, rotation)

    @property
    def code_bytes(self) -> int:
        """Length of a row of codes."""
        return -(-len(self.mean) // _PIECE) * _PIECE

    def encode(self, mapped: NDArray[np.float32], unit: bool = False) -> Encoded:
        """Rows or queries mapped by the space: float32[n, width]. unit: still to be brought to length 1."""
        turned = _turn(mapped, self.order, self.rotation)
        count = len(mapped)
        encoded = Encoded(
            np.empty((count, self.code_bytes), np.uint8), np.empty(count, np.int32), np.empty(count, np.int32)
        )
        kernel.encode(
            np.ascontiguousarray(turned, np.float32),
            unit,
            self.mean,
            np.float32(self.scale),
            encoded.codes,
            encoded.norms,
            encoded.constants,
        )
        return encoded

    @property
    def arrays(self) -> Arrays:
        return {"scalar.mean": self.mean, "scalar.order": self.order, "scalar.rotation": self.rotation}

    @property
    def parameters(self) -> dict[str, Any]:
        return {"scale": self.scale}

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any]) -> ScalarQuantiser:
        mean, order, rotation = (arrays[f"scalar.{name}"] for name in ("mean", "order", "rotation"))
        return cls(mean, parameters["scale"], order, rotation)


def _turn(
    vectors: NDArray[np.float32], order: NDArray[np.int64], rotation: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Deal the components out to blocks and rotate each; as they are without an order."""
    if not len(order):
        return vectors
    dealt = np.zeros((len(vectors), len(order)), np.float32)
    dealt[:, order[: vectors.shape[1]]] = vectors
    blocks = dealt.reshape(len(vectors), -1, len(rotation))
    turned: NDArray[np.float32] = np.matmul(blocks, rotation).reshape(len(vectors), -1)
    return turned
