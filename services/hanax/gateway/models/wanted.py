"""What is asked of an embedding model, and what it made, whatever protocol lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Purpose(StrEnum):
    """What texts are embedded for: a model may want another prompt before each kind."""

    QUERY = "query"
    DOCUMENT = "document"
    NONE = "none"


class LongTexts(StrEnum):
    """What becomes of a text that is longer than the model reads.

    truncate: its tail is left out, and the answer says so. refuse: TextTooLong.
    split: the mean of its parts' vectors, weighted by their lengths.
    """

    TRUNCATE = "truncate"
    REFUSE = "refuse"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Wanted:
    """dimensions: of each vector, the model's first numbers, cut to unit length; None: all of them.

    urgent: before those that are not; someone waits for the answer.
    """

    purpose: Purpose = Purpose.NONE
    normalize: bool = True
    dimensions: int | None = None
    long_texts: LongTexts = LongTexts.TRUNCATE
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """vectors: float32[n, d], row i of text i.

    tokens: read of each text, special ones included; None: the upstream tells no more than
    `total_tokens`, or not even that. truncated, split: indexes of texts, ascending.
    """

    vectors: Vectors
    tokens: list[int] | None = None
    total_tokens: int | None = None
    truncated: list[int] = field(default_factory=list)
    split: list[int] = field(default_factory=list)


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows of length one: float32[n, d]. A row of zeros stays one."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return unit


def joined(parts: Sequence[Made]) -> Made:
    """The answers to consecutive chunks of texts as one. `parts` is not empty."""
    starts = np.cumsum([0, *(len(part.vectors) for part in parts)]).tolist()
    tokens = [part.tokens for part in parts]
    totals = [part.total_tokens for part in parts]
    return Made(
        vectors=np.concatenate([part.vectors for part in parts]),
        tokens=None if None in tokens else [count for each in tokens for count in each or ()],
        total_tokens=None if None in totals else sum(total or 0 for total in totals),
        truncated=[at + i for at, part in zip(starts, parts, strict=False) for i in part.truncated],
        split=[at + i for at, part in zip(starts, parts, strict=False) for i in part.split],
    )
