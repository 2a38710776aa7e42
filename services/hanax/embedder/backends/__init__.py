"""What the service asks of a model, free of any framework: tokenize, prepare, compute, warm, close.

Models that make vectors of texts (`Backend`) and those that make scores of pairs of texts (`PairBackend`)
differ in how rows are read; what computes rows (`RowBackend`) is the same for both.

`tokenize`, `split`, `pair` and `prepare` run on any thread, several at once. What `prepare` gave (which
`embed` calls) runs on one of two worker threads, never on both at a time. A model is opened, warmed
and closed on a third, warmed beside no computation of any model but what `prepare` started, and
closed after the last one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


class Purpose(StrEnum):
    """What texts are for: a model may want another prompt before each kind."""

    NONE = "none"
    QUERY = "query"
    DOCUMENT = "document"


@dataclass(frozen=True)
class Agreement:
    """Cosines between the vectors of a lower precision and of float32, over `texts` samples."""

    mean: float
    least: float
    texts: int


class Task(StrEnum):
    """What a model can be asked for."""

    EMBED = "embed"
    RERANK = "rerank"


# What to say of a model of this task where the other one is wanted.
NOT_THE_OTHER: Final = {
    Task.EMBED: "makes vectors, and no scores of pairs of texts: expected a cross-encoder",
    Task.RERANK: "is a cross-encoder, which makes no vectors: expected an embedding model",
}


@dataclass(frozen=True)
class ModelInfo:
    """`dimension`: numbers that a row comes to; 1 of a cross-encoder, whose number is a score.

    `max_tokens` counts special tokens too. `semantic`: near vectors mean near in meaning.

    `version` changes when the vectors may: with the files, the backend or the precision.
    `dimensions`: what vectors may be cut to, ascending, without the whole; empty: the model was
    not trained for that. `agreement`: of int8, else None.
    """

    name: str
    dimension: int
    max_tokens: int
    backend: str
    semantic: bool
    version: str = ""
    dimensions: tuple[int, ...] = ()
    precision: str = "float32"
    agreement: Agreement | None = None
    task: Task = Task.EMBED


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the model reads of one text, or of one pair of them.

    `ids` mean something to the backend alone. `count` is the tokens read, 1 or more: the cost of
    the text. `truncated`: the text was longer than that and its tail is left out; `total` are
    then the tokens of all of it, else 0.
    """

    ids: npt.NDArray[Any]
    count: int
    truncated: bool
    total: int = 0


class RowBackend(Protocol):
    """One loaded model, as far as rows go through it."""

    @property
    @abstractmethod
    def info(self) -> ModelInfo: ...

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """What the model keeps, in the memory of the device that computes. An estimate."""

    @property
    @abstractmethod
    def batch_tokens(self) -> int:
        """The budget of a batch, padding counted, that computes the most texts a second here."""

    @property
    def batch_overhead_tokens(self) -> int:
        """What a batch costs beside its tokens, as so many of them."""
        return 32

    @property
    def pads(self) -> bool:
        """Whether the rows of a batch cost as much as its longest."""
        return True

    def padded_tokens(self, counts: Sequence[int]) -> int:
        """What is computed for rows of so many tokens, with padding."""
        return len(counts) * max(counts) if self.pads else sum(counts)

    @abstractmethod
    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        """Lay out what a batch needs; start it on a GPU, or behind a batch that runs on the same cores.

        The answer is called once, by a worker: it computes, or waits for what was started, and
        gives float32 (len(batch), dimension), in order, as the model gives them. A batch that was
        prepared may be dropped.
        """

    @abstractmethod
    def warm(self) -> None:
        """Pay now what the first batch would pay."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the model. Nothing is called afterwards."""


@runtime_checkable
class Backend(RowBackend, Protocol):
    """A model that makes a vector of a text. No vector is zero."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        """One entry per text, in order, the prompt for `purpose` put before each.

        A text has at least one character that is not a space.
        """

    @abstractmethod
    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        """All of a text in parts that the model can read, each after the prompt. None is truncated."""

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """Prepare and compute."""
        return self.prepare(batch)()


@runtime_checkable
class PairBackend(RowBackend, Protocol):
    """A cross-encoder: it reads a query and a text together, and says how well they fit; more is better."""

    @abstractmethod
    def pair(self, query: str, texts: Sequence[str]) -> list[Tokens]:
        """The query with each text, in order. Each has at least one character that is not a space."""

    def score(self, batch: Sequence[Tokens]) -> Vectors:
        """Prepare and compute: float32 (len(batch),)."""
        scores: Vectors = self.prepare(batch)()[:, 0]
        return scores
