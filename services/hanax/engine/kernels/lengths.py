"""Whether vectors have lengths that the other kernels can compute with."""

from __future__ import annotations

from numba import float32, float64, int64, njit, types

from hanax.engine.kernels.rescoring import squared_length

_vectors_t = types.Array(float32, 2, "C", readonly=True)


@njit(int64(_vectors_t, float64, float64), nogil=True, cache=True, error_model="numpy")
def first_outside(vectors, least, most):
    """The first row whose L2 norm is not between the two, NaN among them; -1 when there is none."""
    for i in range(vectors.shape[0]):
        squares = squared_length(vectors[i])
        if not (least * least <= squares <= most * most):
            return i
    return -1
