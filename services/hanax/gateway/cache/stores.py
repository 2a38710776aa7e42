"""What keeps bytes by key for the cache: in this process (`memory`), or Redis (`redis_store`).

A key that is not there is no failure, and nothing here raises: a store that is away reads None, and keeps
nothing. What was to be renewed while it was away is renewed before anything is read again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

# Larger values are not kept: one would push out hundreds of others, and hold up those behind it.
MAX_VALUE_BYTES: Final = 1024 * 1024

# Begins the keys of what is right in any state of any collection: a store that was restored may give it.
LASTING: Final = b"e:"


TOKEN_BYTES: Final = 16


def new_token() -> bytes:
    """Never made before."""
    return secrets.token_bytes(TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class Value:
    """ttl_s: how long it may be read; positive."""

    data: bytes
    ttl_s: float


@dataclass(frozen=True, slots=True)
class StoreStats:
    """state: ok, or why the store is away. entries, used_bytes: of the whole store; None when it is away."""

    backend: str
    state: str
    entries: int | None
    used_bytes: int | None


class Store(Protocol):
    def start(self) -> None:
        """Called once, in the event loop."""
        ...

    async def close(self) -> None: ...

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None] | None:
        """The values in order, as they were at one moment; None: the store is away."""
        ...

    def keep(self, key: bytes, value: Value) -> None:
        """Soon, or not at all. Waits for nothing."""
        ...

    async def claim(self, key: bytes, ttl_s: float) -> bytes | None:
        """Put a token where nothing is; what is there then. None: the store is away."""
        ...

    async def renew(self, ttl_s: Mapping[bytes, float]) -> None:
        """Put new tokens to these keys. Done on return, or else before this process reads anything again.

        Every try puts another token: one that came too late must not bring back an older state.
        """
        ...

    async def clear(self) -> int | None:
        """Forget everything, also for other gateways; how many keys. None: the store is away."""
        ...

    async def stats(self) -> StoreStats: ...
