"""A writer that goes on while shards die under it, and remembers what it was told is written."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

from tests.e2e import points
from tests.e2e.gateway import Failed, Gateway

_BATCH: Final = 10
# Nobody waits for the end of it.
_MOST_BATCHES: Final = 100_000


class Writer:
    """Use as a context: writes from entering until leaving.

    acknowledged: numbers of points whose write was answered. refusals: codes of the answers in between.
    longest_s: the longest time from one such answer to the next.
    """

    def __init__(self, gateway: Gateway, collection: str, first: int) -> None:
        self.acknowledged: list[int] = []
        self.refusals: list[str] = []
        self.longest_s = 0.0
        self._gateway = gateway
        self._collection = collection
        self._first = first
        self._stopped = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            for batch in range(_MOST_BATCHES):
                begin = self._first + batch * _BATCH
                if not self._write(range(begin, begin + _BATCH)):
                    return
        except BaseException as failure:
            self._failure = failure

    def _write(self, numbers: range) -> bool:
        """Until it is acknowledged; False when it is time to stop. A write may be made twice."""
        begun = time.monotonic()
        while not self._stopped.is_set():
            try:
                points.insert(self._gateway, self._collection, numbers)
            except Failed as refusal:
                self.refusals.append(refusal.code)
                self._stopped.wait(0.1)
            else:
                self.acknowledged += numbers
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                return True
        return False
