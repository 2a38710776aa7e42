"""Centroids of a sample of codes, by k-means with mini-batches (Sculley, WWW 2010)."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import Cancelled
from hanax.engine.index.scalar import Encoded
from hanax.engine.kernels import clustering as kernel

_PASSES = 8
# Rows of a mini-batch for each centroid.
_BATCH_ROWS = 16
# Rows that k-means++ chooses from, for each centroid.
_SEED_ROWS = 8
# A list with less than this part of the average is given up.
_FEW = 0.2


class Centroids(NamedTuple):
    """uint8[c, padded], int32[c]: rows of codes, with the norms the distance kernels need."""

    codes: NDArray[np.uint8]
    norms: NDArray[np.int32]


def find_centroids(
    l1: bool, sample: Encoded, count: int, random: np.random.Generator, stopped: threading.Event
) -> Centroids:
    """`count` centroids of the sample, whose rows are in no order. Raises Cancelled."""
    rows = len(sample.codes)
    seeds = min(rows, count * _SEED_ROWS)
    chosen = np.empty(count, np.int64)
    kernel.seed(
        l1, sample.codes[:seeds], sample.norms[:seeds], sample.constants[:seeds], random.random(count), chosen
    )
    means = sample.codes[chosen].astype(np.float64) - 128.0
    batch = max(count * _BATCH_ROWS, 1)
    for number in range(_PASSES):
        weights = np.zeros(count)
        for first in range(0, rows, batch):
            if stopped.is_set():
                raise Cancelled("the shard is closing")
            piece = sample.codes[first : first + batch]
            labels = assign(l1, centroids_of(means), piece, sample.constants[first : first + batch])
            sums, counts = np.zeros(means.shape, np.int64), np.zeros(count, np.int64)
            kernel.add_up(piece, labels, sums, counts)
            hit = counts > 0
            weights[hit] += counts[hit]
            # Each centroid moves to the mean of all that it was given in this pass.
            share = (counts[hit] / weights[hit])[:, None]
            means[hit] += share * (sums[hit] / counts[hit][:, None] - means[hit])
        if number < _PASSES - 2:
            _revive(means, weights, sample.codes, random)
    return _in_a_chain(l1, means)


def assign(
    l1: bool, centroids: Centroids, codes: NDArray[np.uint8], constants: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The nearest centroid of each row: int32[n]."""
    labels = np.empty(len(codes), np.int32)
    kernel.assign(l1, centroids.codes, centroids.norms, codes, constants, labels)
    return labels


def centroids_of(means: NDArray[np.float64]) -> Centroids:
    values = np.clip(np.rint(means), -127, 127).astype(np.int32)
    norms = np.einsum("ij,ij->i", values, values, dtype=np.int32)
    return Centroids((values + 128).astype(np.uint8), norms)


def _revive(
    means: NDArray[np.float64],
    weights: NDArray[np.float64],
    codes: NDArray[np.uint8],
    random: np.random.Generator,
) -> None:
    """A centroid with few rows, an outlier mostly, moves to a random row: probably one of a large list."""
    few = np.flatnonzero(weights < _FEW * weights.mean())
    if len(few):
        means[few] = codes[random.integers(0, len(codes), len(few))].astype(np.float64) - 128.0


def _in_a_chain(l1: bool, means: NDArray[np.float64]) -> Centroids:
    """Each next centroid is the nearest of those left: lists that are read together lie together."""
    centroids = centroids_of(means)
    order = np.empty(len(means), np.int64)
    values = centroids.codes.astype(np.int32) - 128
    constants = centroids.norms + 256 * values.sum(axis=1, dtype=np.int32)
    kernel.chain(l1, *centroids, constants, order)
    return Centroids(np.ascontiguousarray(centroids.codes[order]), centroids.norms[order])
