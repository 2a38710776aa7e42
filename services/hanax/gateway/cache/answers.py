"""Answers of searches and counts, kept by what was asked and by the collection's state.

A hit costs a look-up; a miss that, and keeping the answer afterwards, which waits for nothing. Errors are
not kept. What a search found is kept with the token that was read before it began: `versions` tells why.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel

from hanax.core.routing import CollectionRoute
from hanax.gateway.cache.codecs import Codec, Unreadable
from hanax.gateway.cache.flights import Flights
from hanax.gateway.cache.frequent import Frequent
from hanax.gateway.cache.keys import confined_digest, digest_of, filter_part, request_part
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.cache.stores import MAX_VALUE_BYTES, TOKEN_BYTES, Value
from hanax.gateway.cache.versions import Versions
from hanax.gateway.calls import Call

T = TypeVar("T")

Kind = Literal["searches", "metadata"]

_ANSWER: Final = b"a:"
# The token; when it was kept, and when it ends: microseconds since 1970 UTC.
_HEAD: Final = struct.Struct(f"<{TOKEN_BYTES}sqd")


@dataclass(frozen=True, slots=True)
class Keeping(Generic[T]):
    """How an answer is kept. limit_s: how long a request for it may take."""

    codec: Codec[T]
    kind: Kind
    limit_s: float


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """What is asked. request: what to ask to have the answer kept again.

    filter_json: the wire form of the request's filter. sought: what tells what is searched for, read once.
    """

    operation: str
    route: CollectionRoute
    request: BaseModel
    filter_json: bytes
    keeping: Keeping[T]
    sought: Iterable[bytes] = ()

    def digest(self) -> bytes:
        parts = (request_part(self.request), filter_part(self.filter_json), *self.sought)
        return digest_of(self.operation, self.route, parts)


class AnswerCache:
    def __init__(
        self,
        versions: Versions,
        ttl_s: dict[Kind, float],
        metrics: CacheMetrics,
        frequent: Frequent,
        now_us: Callable[[], int],
    ) -> None:
        """ttl_s: of the kinds that are kept. now_us: microseconds since 1970 UTC."""
        self._versions = versions
        self._store = versions.store
        self._ttl_s = ttl_s
        self._metrics = metrics
        self._frequent = frequent
        self._now_us = now_us
        self._flights: Flights[Any] = Flights()

    async def answer(self, call: Call, asked: Asked[T], ask: Callable[[], Awaitable[T]]) -> T:
        """The answer that was kept, or that `ask` gives. Raises what `ask` raises."""
        if asked.keeping.kind not in self._ttl_s:
            return await ask()
        if not call.control.store:
            self._metrics.passed(asked.operation, "asked")
            return await ask()
        digest = asked.digest()
        if call.caller.forced is not None:
            # Answers of their own, that no other caller is given.
            digest = confined_digest(digest, call.caller.forced)
        key = _ANSWER + digest
        began = call.clock()
        with call.waiting("cache"):
            seen = await self._versions.read(asked.route.uid, key)
        self._metrics.looked(asked.operation, call.clock() - began)
        if (token := seen.token) is None:
            self._metrics.passed(asked.operation, "away")
            return await ask()
        if call.caller.forced is None:
            self._frequent.count(key, asked.operation, asked.request)
        if seen.entry is not None and call.control.read:
            found = self._read(call, asked, seen.entry, token)
            if found is not None:
                self._metrics.found(asked.operation, 1, 0)
                return found
        call.cache_missed = True
        self._metrics.found(asked.operation, 0, 1)

        async def ask_and_keep() -> T:
            answer = await ask()
            self._keep(call, asked.keeping, (key, token), answer)
            return answer

        if not call.control.read:
            return await ask_and_keep()
        call.limit(asked.keeping.limit_s)
        answer: T
        answer, shared = await self._flights.join(
            (key, token), ask_and_keep, asked.keeping.limit_s, call.away
        )
        if shared:
            self._metrics.shared(asked.operation)
        return answer

    def _read(self, call: Call, asked: Asked[T], entry: bytes, token: bytes) -> T | None:
        """None for an answer of another state of the collection, and for one that has ended."""
        if len(entry) < _HEAD.size:
            return None
        kept_with, kept_at_us, until_us = _HEAD.unpack_from(entry)
        now_us = self._now_us()
        age_s = max(0.0, (now_us - kept_at_us) / 1e6)
        oldest_s = call.control.max_age_s
        if kept_with != token or now_us >= until_us or (oldest_s is not None and age_s > oldest_s):
            return None
        try:
            answer = asked.keeping.codec.decode(entry[_HEAD.size :])
        except Unreadable:
            return None
        call.hit(age_s)
        return answer

    def _keep(self, call: Call, keeping: Keeping[T], place: tuple[bytes, bytes], answer: T) -> None:
        """place: its key, and the token of the collection's state."""
        now_us = self._now_us()
        until_us = min(call.answer_until_us, keeping.codec.ends_at_us(answer))
        ttl_s = min(self._ttl_s[keeping.kind], (until_us - now_us) / 1e6)
        if ttl_s <= 0:
            return
        body = keeping.codec.encode(answer)
        if len(body) + _HEAD.size <= MAX_VALUE_BYTES:
            key, token = place
            head = _HEAD.pack(token, now_us, until_us)
            self._store.keep(key, Value(head + body, ttl_s))
