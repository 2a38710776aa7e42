"""Vectors from outside: decoded JSON lists to numpy float32, every component checked.

Lists go straight into an array of floats: pydantic would cost three times the parsing. Base64 costs a tenth.
"""

from __future__ import annotations

import contextlib
from array import array
from base64 import b64decode
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import (
    DimensionMismatch,
    HanaxError,
    InvalidArgument,
    NonFiniteVector,
    ZeroVector,
)
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_VECTOR_NORM, MIN_COSINE_NORM
from hanax.core.specs import CollectionSpec

Matrix = NDArray[np.float32]

_NUMBERS: Final = frozenset({float, int})
_FLOAT_BYTES: Final = 4

# Squares of lengths in float32, well between those of the limits: what rounding does makes no difference.
_SURELY_SHORT_ENOUGH: Final = 1e30
_SURELY_LONG_ENOUGH: Final = 1e-30


class Fault(NamedTuple):
    """What is wrong with one row of a matrix."""

    row: int
    kind: type[HanaxError]
    expected: str


class VectorRows:
    """Rows of one collection's vectors, taken one list at a time."""

    def __init__(self, spec: CollectionSpec) -> None:
        self._spec = spec
        self._values = array("f")

    def append(self, vector: object, name: str) -> None:
        """Take one decoded JSON list, or little-endian float32 as bytes or as base64 of them; `name` is what
        messages call it.

        Raises InvalidArgument (no list of numbers), DimensionMismatch or NonFiniteVector (a whole
        number far beyond float32). What only arithmetic shows is left to `matrix` and `find_fault`.
        """
        if isinstance(vector, bytes | str):
            self._append_packed(vector if isinstance(vector, bytes) else self._unpacked(vector, name), name)
            return
        if not isinstance(vector, list):
            raise InvalidArgument(
                f"{name}: expected a list of {self._spec.dimension} numbers, got {kind_of(vector)}"
            )
        # JSON's true would pass for 1.0.
        if not _NUMBERS.issuperset(map(type, vector)):
            place, other = next((i, v) for i, v in enumerate(vector) if type(v) not in _NUMBERS)
            raise InvalidArgument(f"{name}[{place}]: expected a number, got {kind_of(other)}")
        self._check_length(len(vector), name)
        try:
            self._values.fromlist(vector)
        except OverflowError:
            raise NonFiniteVector(f"{name}: a number is beyond the range of float32") from None

    def _append_packed(self, raw: bytes, name: str) -> None:
        """Little-endian float32, as messages have them."""
        count, rest = divmod(len(raw), _FLOAT_BYTES)
        if rest:
            raise InvalidArgument(
                f"{name}: expected {_FLOAT_BYTES} bytes for each of {self._spec.dimension} numbers, "
                f"got {len(raw)} bytes"
            )
        self._check_length(count, name)
        self._values.frombytes(np.frombuffer(raw, "<f4").astype(np.float32, copy=False).tobytes())

    def _unpacked(self, text: str, name: str) -> bytes:
        try:
            return b64decode(text, validate=True)
        except ValueError:
            raise InvalidArgument(
                f"{name}: expected a list of {self._spec.dimension} numbers, or base64 of float32, "
                f"got {kind_of(text)}"
            ) from None

    def _check_length(self, got: int, name: str) -> None:
        if got != self._spec.dimension:
            raise DimensionMismatch(
                f"{name}: collection {self._spec.name!r} takes {self._spec.dimension} numbers, got {got}",
                expected=self._spec.dimension,
                got=got,
            )

    def matrix(self) -> Matrix:
        """All rows: float32[n, dimension], without a copy. Nothing can be appended after this."""
        return np.frombuffer(self._values, dtype=np.float32).reshape(-1, self._spec.dimension)


def count_of(vector: object) -> int | None:
    """How many numbers were sent; None: it is no vector, or has no whole number of them."""
    if isinstance(vector, list):
        return len(vector)
    if isinstance(vector, str):
        with contextlib.suppress(ValueError):
            vector = b64decode(vector, validate=True)
    if isinstance(vector, bytes) and len(vector) % _FLOAT_BYTES == 0:
        return len(vector) // _FLOAT_BYTES
    return None


def find_fault(matrix: Matrix, spec: CollectionSpec) -> Fault | None:
    """The first row that the engine would refuse: not finite, too long, or zero under cosine."""
    # Four times as fast as in float64, and far enough from both limits to be sure of. NaN fails as well.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
    least = _SURELY_LONG_ENOUGH if spec.metric is Metric.COSINE else 0.0
    # Of no rows there is no least.
    if not len(squares) or (squares.min() >= least and squares.max() <= _SURELY_SHORT_ENOUGH):
        return None
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    # NaN fails the comparison as well.
    if not (good := norms <= MAX_VECTOR_NORM).all():
        return Fault(
            int(np.argmin(good)),
            NonFiniteVector,
            f"expected finite float32 numbers and a length up to {MAX_VECTOR_NORM:g}",
        )
    if spec.metric is Metric.COSINE and not (good := norms >= MIN_COSINE_NORM).all():
        return Fault(
            int(np.argmin(good)),
            ZeroVector,
            f"expected a direction: cosine needs a length of at least {MIN_COSINE_NORM:g}",
        )
    return None


def parse_vector(vector: object, spec: CollectionSpec, name: str) -> Matrix:
    """One query vector: float32[1, dimension]. Raises what `VectorRows` and `find_fault` name."""
    rows = VectorRows(spec)
    rows.append(vector, name)
    matrix = rows.matrix()
    if fault := find_fault(matrix, spec):
        raise fault.kind(f"{name}: {fault.expected}")
    return matrix


def float32_le(matrix: Matrix) -> bytes:
    """The rows in the form of the wire."""
    return matrix.astype("<f4", copy=False).tobytes()
