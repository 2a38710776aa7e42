"""A backend that computes when the test lets it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from hanax.embedder.backends import ModelInfo, Tokens, Vectors

BROKEN = 666
NOT_FINITE = 667


class GatedBackend:
    """A text is a number: its length in tokens, and its vector's first component."""

    info = ModelInfo("gated", 2, 1_000, "gated", semantic=False)

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        counts = [int(text) for text in texts]
        return [Tokens(np.array([count]), count, truncated=False) for count in counts]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        lengths = [tokens.count for tokens in batch]
        self.batches.append(lengths)
        self.entered.release()
        assert self.gate.acquire(timeout=30)
        if BROKEN in lengths:
            raise ValueError("broken on purpose")
        vectors = np.array([(length, 1.0) for length in lengths], np.float32)
        if NOT_FINITE in lengths:
            vectors[0, 0] = np.nan
        return vectors

    def warm(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing is held."""

    def let_all_run(self) -> None:
        self.gate.release(1_000)
