"""Threads that compute parts of batches side by side, in the order in which those were started.

A batch that is started while another is on its way follows it without a gap: a lane that finds no
more parts of the one takes those of the next, instead of waiting for the other lanes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from hanax.embedder.backends import Vectors
from hanax.embedder.backends.session import Laid


class Started:
    """Parts on their way. Those that no lane has begun when this is let go are left out."""

    def __init__(self, parts: Sequence[Laid]) -> None:
        self.parts: Final = parts
        self.answers: list[Future[Vectors | None]] = []

    def vectors(self) -> Iterator[Vectors]:
        """Of each part, in order, as soon as it is there. Raises what computing it raised."""
        for answer in self.answers:
            found = answer.result()
            assert found is not None, "it is still wanted, so none of its parts is left out"
            yield found


class Lanes:
    """`run` computes one part; it is called by `count` threads at once."""

    def __init__(self, count: int, run: Callable[[Laid], Vectors]) -> None:
        self._run: Final = run
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="onnx")
        self._last: Future[Vectors | None] | None = None

    @property
    def is_busy(self) -> bool:
        """The last part that was started is not done."""
        last = self._last
        return last is not None and not last.done()

    def start(self, parts: Sequence[Laid]) -> Started:
        started = Started(parts)
        # The threads know of it weakly: nobody else may wait for it any more.
        known = weakref.ref(started)
        for at in range(len(parts)):
            self._last = self._threads.submit(self._compute, known, at)
            started.answers.append(self._last)
        return started

    def close(self) -> None:
        """Wait for the parts that were begun."""
        self._threads.shutdown()

    def _compute(self, known: weakref.ref[Started], at: int) -> Vectors | None:
        started = known()
        if started is None:
            return None
        part = started.parts[at]
        # While it is computed, the rest may be let go.
        del started
        return self._run(part)
