"""A store in this process: the least recently used goes first, bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hanax.gateway.cache.stores import MAX_VALUE_BYTES, StoreStats, Value, new_token

# What an entry costs beside its key and its value: both objects' heads, the tuple, the place in the table.
_ENTRY_BYTES: Final = 240


class MemoryStore:
    """For one event loop."""

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        """clock: seconds, never going back."""
        self._max_bytes = max_bytes
        self._clock = clock
        self._held: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    def start(self) -> None:
        return

    async def close(self) -> None:
        self._held.clear()
        self._bytes = 0

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None] | None:
        return [self._get(key) for key in keys]

    def keep(self, key: bytes, value: Value) -> None:
        size = len(key) + len(value.data) + _ENTRY_BYTES
        self._remove(key)
        if len(value.data) > MAX_VALUE_BYTES or size > self._max_bytes:
            return
        self._held[key] = (value.data, self._clock() + value.ttl_s)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._held)))

    async def claim(self, key: bytes, ttl_s: float) -> bytes | None:
        if self._get(key) is None:
            self.keep(key, Value(new_token(), ttl_s))
        return self._get(key)

    async def renew(self, ttl_s: Mapping[bytes, float]) -> None:
        for key, seconds in ttl_s.items():
            self.keep(key, Value(new_token(), seconds))

    async def clear(self) -> int:
        count = len(self._held)
        await self.close()
        return count

    async def stats(self) -> StoreStats:
        return StoreStats("memory", "ok", len(self._held), self._bytes)

    def _get(self, key: bytes) -> bytes | None:
        found = self._held.get(key)
        if found is None:
            return None
        data, until = found
        if self._clock() >= until:
            self._remove(key)
            return None
        self._held.move_to_end(key)
        return data

    def _remove(self, key: bytes) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= len(key) + len(found[0]) + _ENTRY_BYTES
