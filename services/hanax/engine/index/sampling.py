"""How builds walk through the rows: a sample to learn from, then block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import Cancelled
from hanax.engine.index.protocol import Source, Work
from hanax.engine.index.space import Space

# Means and scales of a component hardly change with more rows.
_SAMPLE_ROWS = 8_192
# A block is what a build holds besides the index: 4,096 rows of 4,096 dimensions take 64 MiB.
_BLOCK_ROWS = 4_096


def sample_of(space: Space, source: Source) -> NDArray[np.float32]:
    """Some rows, mapped: float32[s, width], s >= 1. The same ones every time; zeros if there are no rows."""
    count = len(source.vectors)
    if count == 0:
        return np.zeros((1, space.width), np.float32)
    if count <= _SAMPLE_ROWS:
        return space.rows(source, slice(0, count))
    chosen = np.random.default_rng(11).choice(count, _SAMPLE_ROWS, replace=False)
    return space.rows(source, np.sort(chosen))


def blocks_of(count: int, work: Work) -> Iterator[slice]:
    """All rows in pieces. Raises Cancelled before the next one once the work is stopped."""
    for first in range(0, count, _BLOCK_ROWS):
        check(work)
        yield slice(first, min(count, first + _BLOCK_ROWS))


def check(work: Work) -> None:
    """Raises Cancelled when the work is stopped."""
    if work.stopped.is_set():
        raise Cancelled("the shard is closing")
