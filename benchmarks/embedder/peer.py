"""`SentenceTransformer.encode` as it comes, in a process of its own.

`encode` sorts by length itself, and computes on as many threads as torch chooses. Its batch size is the one
of BATCH_SIZES that was the fastest on these texts.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import received

BATCH_SIZES: Final = (8, 16, 32, 64, 128)

_LOAD_S: Final = 300.0
_ANSWER_S: Final = 600.0
_END_S: Final = 30.0


class Encoded(NamedTuple):
    """vectors: float32[n, dimension], of unit length."""

    seconds: float
    vectors: NDArray[np.float32]


class Encoder:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._receive(_LOAD_S)

    def encode(self, texts: Sequence[str], batch_size: int) -> Encoded:
        self._pipe.send((list(texts), batch_size))
        found: Encoded = self._receive(_ANSWER_S)
        return found

    def one_by_one(self, texts: Sequence[str]) -> list[float]:
        """Seconds of each."""
        self._pipe.send((list(texts), None))
        seconds: list[float] = self._receive(_ANSWER_S)
        return seconds

    def _receive(self, timeout_s: float) -> Any:
        return received(self._pipe, timeout_s, "sentence-transformers")


@contextmanager
def loaded(folder: str) -> Iterator[Encoder]:
    """The model of a folder, until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder, theirs))
    process.start()
    theirs.close()
    try:
        yield Encoder(ours)
    finally:
        ours.close()
        process.join(_END_S)
        process.kill()
        process.join()


def _serve(folder: str, pipe: Connection) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    model.encode(["warm"])
    pipe.send(None)
    while True:
        try:
            texts, batch_size = pipe.recv()
        except EOFError:
            return
        if batch_size is None:
            seconds = []
            for text in texts:
                begun = time.perf_counter()
                model.encode([text], normalize_embeddings=True, show_progress_bar=False)
                seconds.append(time.perf_counter() - begun)
            pipe.send(seconds)
        else:
            begun = time.perf_counter()
            vectors = model.encode(
                texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
            )
            pipe.send(Encoded(time.perf_counter() - begun, np.asarray(vectors, np.float32)))
