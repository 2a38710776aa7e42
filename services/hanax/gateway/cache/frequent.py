"""The requests that are asked most, so that their answers can be kept before they are asked again.

Counts are those of Misra and Gries (1982, "Finding repeated elements"): of n requests, every one that was
asked more than n / PLACES times has a place. All counts fall by one when places run out, so that what was
frequent long ago makes room. A request is written down once it has come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
from pydantic import BaseModel

PLACES: Final = 1_024
# Requests that are written down, of this size at most: 4 MiB, and some 2,000 numbers of a vector.
MAX_REQUESTS: Final = 128
MAX_REQUEST_BYTES: Final = 32 * 1024
# Counted before it is written down, and again before the next try where others came back more often.
_COMES_BACK: Final = 3


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request as JSON, and how often it was counted."""

    operation: str
    body: bytes
    count: int


class Frequent:
    """For one event loop."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._written: dict[bytes, tuple[str, bytes]] = {}

    def count(self, key: bytes, operation: str, request: BaseModel) -> None:
        """key: of all requests that mean the same."""
        counts = self._counts
        count = counts.get(key)
        if count is not None:
            counts[key] = count + 1
            if (count + 1) % _COMES_BACK == 0 and key not in self._written:
                self._write(key, operation, request)
        elif len(counts) < PLACES:
            counts[key] = 1
        else:
            self._counts = {key: count - 1 for key, count in counts.items() if count > 1}
            for gone in self._written.keys() - self._counts.keys():
                del self._written[gone]

    def most(self, limit: int) -> list[Repeated]:
        """By falling count."""
        found = [
            Repeated(operation, body, self._counts[key]) for key, (operation, body) in self._written.items()
        ]
        return sorted(found, key=lambda one: -one.count)[:limit]

    def _write(self, key: bytes, operation: str, request: BaseModel) -> None:
        if len(self._written) >= MAX_REQUESTS:
            least = min(self._written, key=self._counts.__getitem__)
            if self._counts[least] >= self._counts[key]:
                return
            del self._written[least]
        # Without warnings: vectors that came packed are no lists.
        fields = request.model_dump(exclude_unset=True, warnings=False)
        body = orjson.dumps(fields, default=_numbers)
        if len(body) <= MAX_REQUEST_BYTES:
            self._written[key] = (operation, body)


def _numbers(packed: object) -> list[float]:
    """Of little-endian float32."""
    if not isinstance(packed, bytes):
        raise TypeError
    numbers: list[float] = np.frombuffer(packed, "<f4").tolist()
    return numbers
