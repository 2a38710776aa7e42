"""What the service asks of a model, free of any framework: tokenize, embed, warm, close.

`tokenize` runs on the threads of callers, several at once. `warm`, `embed` and `close` run on
the one worker thread, because frameworks keep a pool of threads for each thread that computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModelInfo:
    """`max_tokens` counts special tokens too. `semantic`: near vectors mean near in meaning."""

    name: str
    dimension: int
    max_tokens: int
    backend: str
    semantic: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the model reads of one text.

    `ids` mean something to the backend alone. `count` is the tokens read, 1 or more: the cost of
    the text. `truncated`: the text was longer than that and its tail is left out.
    """

    ids: npt.NDArray[Any]
    count: int
    truncated: bool


class Backend(Protocol):
    """One loaded model."""

    @property
    def info(self) -> ModelInfo: ...

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """One entry per text, in order. A text has at least one character that is not a space."""

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """float32 (len(batch), dimension), in order, as the model gives them. No row is zero."""

    def warm(self) -> None:
        """Pay now what the first batch would pay."""

    def close(self) -> None:
        """Let go of the model. Nothing is called afterwards."""
