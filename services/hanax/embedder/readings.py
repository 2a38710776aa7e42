"""From the texts of a request to the rows that go through the model, and back to one vector a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, chain
from typing import Final

import numpy as np

from hanax.core.errors import InvalidArgument, TextTooLong
from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors

# A vector shorter than this is kept as it is: dividing by its length would only magnify noise.
_SMALLEST_NORM: Final = 1e-12

# Texts that a message about several names; the details name them all.
_NAMED: Final = 5


class LongTexts(StrEnum):
    """What becomes of texts that are longer than the model reads."""

    TRUNCATE = "truncate"
    REFUSE = "refuse"
    SPLIT = "split"


@dataclass(frozen=True)
class Wish:
    """How texts shall be embedded. `dimensions`: of each vector; None: all that the model has."""

    purpose: Purpose
    long_texts: LongTexts
    normalize: bool
    dimensions: int | None


@dataclass(frozen=True)
class Reading:
    """`parts[i]`: the rows of text i, in its order; 1 each unless texts were split."""

    parts: list[list[Tokens]]

    @property
    def rows(self) -> list[Tokens]:
        return list(chain.from_iterable(self.parts))

    @property
    def tokens(self) -> list[int]:
        """Read of each text."""
        return [sum(row.count for row in rows) for rows in self.parts]

    @property
    def truncated(self) -> list[int]:
        return [at for at, rows in enumerate(self.parts) if rows[0].truncated]

    @property
    def split(self) -> list[int]:
        return [at for at, rows in enumerate(self.parts) if len(rows) > 1]

    def vectors(self, rows: Vectors, wish: Wish) -> Vectors:
        """float32 (texts, dimensions) from float32 (rows, dimension).

        The vector of a split text is the mean of its parts', weighted by their tokens, and as long
        as they are on average. A vector that is cut is its model's first numbers.
        """
        found = rows if len(rows) == len(self.parts) else self._means(rows)
        if wish.dimensions is not None:
            found = found[:, : wish.dimensions]
        return unit_vectors(found) if wish.normalize else found

    def _means(self, rows: Vectors) -> Vectors:
        starts = list(accumulate((len(parts) for parts in self.parts), initial=0))[:-1]
        counts = np.array([row.count for row in self.rows], np.float32)[:, None]
        shares = counts / np.repeat(np.add.reduceat(counts, starts), np.diff([*starts, len(rows)]), axis=0)

        def mean(values: Vectors) -> Vectors:
            return np.add.reduceat(values * shares, starts, dtype=np.float32)

        return unit_vectors(mean(rows)) * mean(np.linalg.norm(rows, axis=1, keepdims=True))


def read_texts(backend: Backend, texts: Sequence[str], wish: Wish, max_rows: int) -> Reading:
    """Raises TextTooLong where texts are refused, or their parts would be more than `max_rows`."""
    rows = backend.tokenize(texts, wish.purpose)
    long = [at for at, row in enumerate(rows) if row.truncated]
    if long and wish.long_texts is LongTexts.REFUSE:
        raise _too_long(backend.info, long, [rows[at].total for at in long])
    parts = [[row] for row in rows]
    if wish.long_texts is LongTexts.SPLIT:
        left = max_rows - len(rows)
        for at in long:
            parts[at] = backend.split(texts[at], wish.purpose)
            left -= len(parts[at]) - 1
            if left < 0:
                raise TextTooLong(
                    f"the texts up to number {at} have more than {max_rows} parts together: "
                    "expected fewer or shorter texts in a request",
                    index=at,
                    limit=max_rows,
                )
    return Reading(parts)


def check_dimensions(info: ModelInfo, dimensions: int) -> int | None:
    """What to cut vectors to; 0, and the model's own, mean not at all. Raises InvalidArgument."""
    if dimensions in (0, info.dimension):
        return None
    if dimensions not in info.dimensions:
        allowed = [*info.dimensions, info.dimension]
        raise InvalidArgument(
            f"expected dimensions of {', '.join(map(str, allowed))} for {info.name}, got {dimensions}",
            allowed=allowed,
        )
    return dimensions


def unit_vectors(vectors: Vectors) -> Vectors:
    """Each row of float32 (n, dimension) divided by its Euclidean length."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Vectors = vectors / np.maximum(norms, np.float32(_SMALLEST_NORM))
    return units


def _too_long(info: ModelInfo, indexes: list[int], tokens: list[int]) -> TextTooLong:
    named = [f"text {at} has {count} tokens" for at, count in zip(indexes, tokens, strict=True)]
    more = f" and {len(named) - _NAMED} more are too long" if len(named) > _NAMED else ""
    return TextTooLong(
        f"{', '.join(named[:_NAMED])}{more}: {info.name} reads at most {info.max_tokens}",
        indexes=indexes,
        tokens=tokens,
        limit=info.max_tokens,
    )
