"""A backend that computes when the test lets it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from hanax.embedder.backends import Backend, ModelInfo, Purpose, Tokens, Vectors
from hanax.embedder.readings import Reading

BROKEN = 666
NOT_FINITE = 667
UNPREPARABLE = 668
PATIENCE_S = 30.0


class GatedBackend(Backend):
    """A text is a number: its length in tokens, and its vector's first component."""

    info = ModelInfo("gated", 2, 1_000, "gated", semantic=False)
    memory_bytes = 100
    batch_tokens = 400

    def __init__(self) -> None:
        self.prepared: list[list[int]] = []
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.ready = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.closed = False

    def tokenize(self, texts: Sequence[str], purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        counts = [int(text) for text in texts]
        return [Tokens(np.array([count]), count, truncated=False) for count in counts]

    def split(self, text: str, purpose: Purpose = Purpose.NONE) -> list[Tokens]:
        return self.tokenize([text])

    def read(self, lengths: Sequence[int]) -> Reading:
        return Reading([[row] for row in self.tokenize([str(length) for length in lengths])])

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        lengths = [tokens.count for tokens in batch]
        if UNPREPARABLE in lengths:
            raise ValueError("cannot be prepared, on purpose")
        self.prepared.append(lengths)
        self.ready.release()
        return lambda: self._compute(lengths)

    def _compute(self, lengths: list[int]) -> Vectors:
        self.batches.append(lengths)
        self.entered.release()
        assert self.gate.acquire(timeout=PATIENCE_S)
        if BROKEN in lengths:
            raise ValueError("broken on purpose")
        vectors = np.array([(length, 1.0) for length in lengths], np.float32)
        if NOT_FINITE in lengths:
            vectors[0, 0] = np.nan
        return vectors

    def warm(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        self.closed = True

    def let_all_run(self) -> None:
        self.gate.release(1_000)
