"""Where keys are kept: what a store has to do, and one in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

# What an entry costs beside its key and its value: both objects' heads, the tuple, the place in the table.
_ENTRY_BYTES: Final = 240


class StoreAway(Exception):
    """The store does not answer, or has no room."""


class KeyStore(Protocol):
    """Values by key, each for a time. Methods raise StoreAway."""

    async def claim(self, key: bytes, value: bytes, ttl_s: float) -> bytes | None:
        """Put `value` where nothing is; None. Where something is: that."""
        ...

    async def replace(self, key: bytes, old: bytes, new: bytes, ttl_s: float) -> None:
        """Put `new` in place of `old`; nothing where another value is there by now."""
        ...

    async def remove(self, key: bytes, value: bytes) -> None:
        """Where it is still this value."""
        ...


class MemoryKeys:
    """For one event loop; bounded in bytes: what was put first goes first."""

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        """clock: seconds, never going back."""
        self._max_bytes = max_bytes
        self._clock = clock
        self._held: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    async def claim(self, key: bytes, value: bytes, ttl_s: float) -> bytes | None:
        found = self._get(key)
        if found is None:
            self._put(key, value, ttl_s)
        return found

    async def replace(self, key: bytes, old: bytes, new: bytes, ttl_s: float) -> None:
        if self._get(key) == old:
            self._put(key, new, ttl_s)

    async def remove(self, key: bytes, value: bytes) -> None:
        if self._get(key) == value:
            self._drop(key)

    def _get(self, key: bytes) -> bytes | None:
        found = self._held.get(key)
        if found is None:
            return None
        value, until = found
        if self._clock() >= until:
            self._drop(key)
            return None
        return value

    def _put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        self._drop(key)
        self._held[key] = (value, self._clock() + ttl_s)
        self._bytes += len(key) + len(value) + _ENTRY_BYTES
        while self._bytes > self._max_bytes and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, key: bytes) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= len(key) + len(found[0]) + _ENTRY_BYTES
