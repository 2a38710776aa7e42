"""Keys of requests (draft-ietf-httpapi-idempotency-key-header): who comes first, and what was answered.

A key is claimed for LEASE_S, renewed while its request runs, and then holds the answer. Without a store that
gateways share, or while it is away, a gateway knows the keys that it has met itself. A gateway that dies
leaves its claims to end by themselves: what came of such a request nobody knows, and the key is free again.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from hanax.core.errors import IdempotencyKeyInFlight, IdempotencyKeyReused
from hanax.gateway.cache.stores import new_token
from hanax.gateway.idempotency.stores import KeyStore, MemoryKeys, StoreAway

LEASE_S: Final = 30.0
_RENEW_EVERY_S: Final = 10.0
_RETRY_AFTER_S: Final = 1
_DIGEST: Final = 20
# Answers in the memory of one gateway.
_MEMORY_BYTES: Final = 32 * 1024 * 1024

_CLAIMED: Final = b"c"
_ANSWERED: Final = b"a"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """is_error: `body` tells of an error in no form of an answer's (`requests.keep_error`)."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    is_error: bool = False


class Keys:
    def __init__(self, shared: KeyStore | None, keep_s: float, clock: Callable[[], float]) -> None:
        """shared: by several gateways. keep_s: how long answers are kept. clock: never going back."""
        self._shared = shared
        self._own = MemoryKeys(_MEMORY_BYTES, clock)
        self._keep_s = keep_s

    async def begin(self, key: bytes, request: bytes) -> Claim | KeptAnswer:
        """Claim a key for a request, or what the same request was answered before.

        key: with who asks. request: all that makes it this request. Raises IdempotencyKeyReused where another
        came with the key, IdempotencyKeyInFlight where the same has not been answered.
        """
        name, fingerprint = _digest(key), _digest(request)
        value = _CLAIMED + fingerprint + new_token()
        store: KeyStore = self._own if self._shared is None else self._shared
        try:
            found = await store.claim(name, value, LEASE_S)
        except StoreAway:
            store = self._own
            found = await store.claim(name, value, LEASE_S)
        if found is None:
            return Claim(store, name, value, self._keep_s)
        if found[1 : 1 + _DIGEST] != fingerprint:
            raise IdempotencyKeyReused("Idempotency-Key: it came with another request before")
        if found[:1] == _CLAIMED:
            raise IdempotencyKeyInFlight(
                "Idempotency-Key: the request that it came with first is not answered yet",
                retry_after_s=_RETRY_AFTER_S,
            )
        return _decode(found[1 + _DIGEST :])


class Claim:
    """A key that this request holds, until `keep` or `release`."""

    def __init__(self, store: KeyStore, name: bytes, value: bytes, keep_s: float) -> None:
        self._store = store
        self._name = name
        self._value = value
        self._keep_s = keep_s
        self._renewing = asyncio.ensure_future(self._renew())

    async def keep(self, answer: KeptAnswer) -> None:
        """From now on this is what the key's request is answered."""
        self._renewing.cancel()
        kept = _ANSWERED + self._value[1 : 1 + _DIGEST] + _encode(answer)
        try:
            await self._store.replace(self._name, self._value, kept, self._keep_s)
        except StoreAway:
            return

    async def release(self) -> None:
        """The request may come again with its key."""
        self._renewing.cancel()
        try:
            await self._store.remove(self._name, self._value)
        except StoreAway:
            return

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            try:
                await self._store.replace(self._name, self._value, self._value, LEASE_S)
            except StoreAway:
                continue


def _digest(data: bytes) -> bytes:
    """Keys are others' words: nobody may find two with one digest."""
    return blake2b(data, digest_size=_DIGEST).digest()


def _encode(answer: KeptAnswer) -> bytes:
    head = orjson.dumps([answer.status, answer.headers, answer.is_error])
    return len(head).to_bytes(4, "big") + head + zlib.compress(answer.body, 1)


def _decode(raw: bytes) -> KeptAnswer:
    end = 4 + int.from_bytes(raw[:4], "big")
    status, headers, is_error = orjson.loads(raw[4:end])
    body = zlib.decompress(raw[end:])
    return KeptAnswer(status, [(name, value) for name, value in headers], body, is_error)
