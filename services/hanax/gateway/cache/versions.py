"""Which state of a collection a kept answer is of.

Every collection has a token: random bytes, in the store that the answers are in. An acknowledged write
replaces it before the client hears of the write, whichever gateway took it, and an answer is kept with the
token that was read before its search began. So an answer is given only while no write has ended since
before it was sought, nothing is looked for to be thrown away, and a search that a write overtook keeps what
nobody will be given. Tokens never come again: one that the store has lost is made anew, and all older
answers are lost with it.

A write that ended in doubt (no answer in time, a shard out of reach) may still be made: for a while nothing
is given or kept of that collection. That is a key of its own, which the next write does not take away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hanax.gateway.cache.stores import Store

# Longer than any answer is kept.
_TOKEN_TTL_S: Final = 86_400.0
# How long after its caller gave up a shard may still work off a write.
DOUBT_S: Final = 30.0

_TOKEN: Final = b"v:"
_DOUBT: Final = b"d:"


@dataclass(frozen=True, slots=True)
class Seen:
    """token: of the collection, None when nothing of it may be given or kept now. entry: None: not there."""

    token: bytes | None
    entry: bytes | None


class Versions:
    def __init__(self, store: Store) -> None:
        self.store = store

    async def read(self, uid: str, entry: bytes) -> Seen:
        """The token of a collection and a kept entry, of one moment."""
        name = uid.encode()
        found = await self.store.read([_TOKEN + name, _DOUBT + name, entry])
        if found is None:
            return Seen(None, None)
        token, doubt, value = found
        if doubt is not None:
            return Seen(None, None)
        if token is None:
            return Seen(await self.store.claim(_TOKEN + name, _TOKEN_TTL_S), None)
        return Seen(token, value)

    async def renew(self, uid: str) -> None:
        """After a write that has ended."""
        await self.store.renew({_TOKEN + uid.encode(): _TOKEN_TTL_S})

    async def doubt(self, uid: str) -> None:
        """After a write that may not have ended."""
        name = uid.encode()
        await self.store.renew({_DOUBT + name: DOUBT_S, _TOKEN + name: _TOKEN_TTL_S})
