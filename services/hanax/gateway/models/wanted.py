"""What is asked of an embedding model, and what it made, whatever protocol lies between."""

from __future__ import annotations

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
    `total_tokens`, or not even that. truncated, split: indexes of texts, ascending. version: of the model
    that made them; empty: the upstream does not tell it.
    """

    vectors: Vectors
    tokens: list[int] | None = None
    total_tokens: int | None = None
    truncated: list[int] = field(default_factory=list)
    split: list[int] = field(default_factory=list)
    version: str = ""


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows of length one: float32[n, d]. A row of zeros stays one."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: Vectors = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return unit
