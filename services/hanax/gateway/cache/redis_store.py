"""A store in Redis, shared by all gateways.

    <prefix>:e:...               vectors of texts: right for as long as their model is
    <prefix>:<epoch>:...         tokens, and what is right by them: of one run of the server

Look-ups that meet go with one MGET. What is to be kept waits in a line that is bounded, and what comes too
fast is not kept. Every key has an end. A Redis with little memory should evict (`maxmemory-policy
allkeys-lru`): nothing goes wrong with what is gone. Not for Redis Cluster, where keys of one command have to
lie together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from hanax.gateway.cache.batches import Batches
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.cache.redis_link import RedisAway, RedisLink, RedisPlace
from hanax.gateway.cache.stores import LASTING, StoreStats, Value, new_token

# Larger values are not kept here: the client reads some 256 KiB in a millisecond, and when look-ups take ten
# the server counts as slow.
LARGEST_BYTES: Final = 128 * 1024
# Eight look-ups of answers.
_READ_KEYS: Final = 24
_READ_LANES: Final = 2
_KEEP_VALUES: Final = 64
# What may wait to be kept.
_MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
# Collections whose tokens could not be replaced; more than this, and all tokens go.
MAX_OWED: Final = 10_000
_SCAN_KEYS: Final = 1_000
_PAY_TIMEOUT_S: Final = 1.0
# At the end, for what waits to be kept.
_LAST_KEEPS_S: Final = 0.5

_Pair = tuple[bytes, Value]


@dataclass(frozen=True, eq=False, slots=True)
class _Due:
    """A key that has to get a new token."""

    key: bytes
    ttl_s: float


class RedisStore:
    """For one event loop."""

    def __init__(self, place: RedisPlace, metrics: CacheMetrics) -> None:
        """Raises FailedPrecondition for what is no URL of a Redis."""
        self._prefix = place.prefix.encode()
        self._metrics = metrics
        self._link = RedisLink(place, metrics, self._pay)
        self._reads: Batches[bytes, bytes | None] = Batches(self._read, _READ_KEYS, _READ_LANES)
        self._keeps: Batches[_Pair, None] = Batches(self._keep, _KEEP_VALUES, 1)
        self._renewals: Batches[_Due, None] = Batches(self._renew, _KEEP_VALUES, 2)
        self._keeping: set[asyncio.Task[None]] = set()
        self._waiting_bytes = 0
        # The latest wish for each key, so that one which is done takes none away that came meanwhile.
        self._owed: dict[bytes, _Due] = {}
        self._owes_all = False

    @property
    def link(self) -> RedisLink:
        """For others who keep something there."""
        return self._link

    def start(self) -> None:
        self._link.start()

    async def close(self) -> None:
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=_LAST_KEEPS_S)
        for task in self._keeping:
            task.cancel()
        for batches in (self._reads, self._keeps, self._renewals):
            await batches.close()
        await self._link.close()

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None] | None:
        return await self._reads.submit(keys) if self._link.up else None

    def keep(self, key: bytes, value: Value) -> None:
        size = len(value.data)
        if not self._link.up or size > LARGEST_BYTES:
            return
        if self._waiting_bytes + size > _MAX_WAITING_BYTES:
            self._metrics.dropped()
            return
        self._waiting_bytes += size
        task = asyncio.ensure_future(self._keep_one((key, value)))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def claim(self, key: bytes, ttl_s: float) -> bytes | None:
        name = self._name(key)

        async def work(client: Redis) -> Any:
            async with client.pipeline(transaction=False) as pipe:
                pipe.set(name, new_token(), px=_milliseconds(ttl_s), nx=True)
                pipe.get(name)
                return await pipe.execute()

        try:
            _, found = await self._link.look_up(work)
        except (RedisAway, OutOfMemoryError):
            return None
        return bytes(found) if found is not None else None

    async def renew(self, ttl_s: Mapping[bytes, float]) -> None:
        due = [_Due(key, seconds) for key, seconds in ttl_s.items()]
        # Owed until it is done, so that a link that goes down and comes up meanwhile pays it first.
        self._owed.update((one.key, one) for one in due)
        if len(self._owed) > MAX_OWED:
            self._owed.clear()
            self._owes_all = True
        if self._link.up and await self._renewals.submit(due) is not None:
            self._paid(due)

    async def clear(self) -> int | None:
        async def work(client: Redis) -> Any:
            return await self._unlink(client, self._prefix + b":*")

        try:
            found: int = await self._link.work_off(work)
        except RedisAway:
            return None
        return found

    async def stats(self) -> StoreStats:
        async def work(client: Redis) -> Any:
            return await client.dbsize(), await client.info("memory")

        try:
            entries, memory = await self._link.look_up(work)
        except RedisAway:
            return StoreStats("redis", self._link.state, None, None)
        return StoreStats("redis", self._link.state, entries, memory["used_memory"])

    async def _read(self, keys: list[bytes]) -> Sequence[bytes | None] | None:
        names = [self._name(key) for key in keys]

        async def work(client: Redis) -> Any:
            return await client.mget(names)

        try:
            found: list[bytes | None] = await self._link.look_up(work)
        except RedisAway:
            return None
        return found

    async def _keep_one(self, pair: _Pair) -> None:
        try:
            await self._keeps.submit([pair])
        finally:
            self._waiting_bytes -= len(pair[1].data)

    async def _keep(self, pairs: list[_Pair]) -> Sequence[None] | None:
        try:
            await self._link.work_off(lambda client: self._set(client, pairs))
        except (RedisAway, OutOfMemoryError):
            return None
        return [None] * len(pairs)

    async def _renew(self, due: list[_Due]) -> Sequence[None] | None:
        try:
            await self._link.write(lambda client: self._set_or_delete(client, due))
        except RedisAway:
            return None
        return [None] * len(due)

    async def _set(self, client: Redis, pairs: Iterable[_Pair]) -> None:
        async with client.pipeline(transaction=False) as pipe:
            for key, value in pairs:
                pipe.set(self._name(key), value.data, px=_milliseconds(value.ttl_s))
            await pipe.execute()

    async def _set_or_delete(self, client: Redis, due: Sequence[_Due]) -> None:
        """A Redis that is full and does not evict still deletes, and a token that is gone is made anew."""
        try:
            await self._set(client, ((one.key, Value(new_token(), one.ttl_s)) for one in due))
        except OutOfMemoryError:
            await client.unlink(*(self._name(one.key) for one in due))

    def _paid(self, due: Sequence[_Due]) -> None:
        for one in due:
            if self._owed.get(one.key) is one:
                del self._owed[one.key]

    async def _pay(self, client: Redis) -> None:
        """Renew what could not be renewed, before anything is read. Raises what Redis does."""
        if self._owes_all:
            await self._unlink(client, self._name(b"") + b"*")
            self._owes_all = False
        while due := list(self._owed.values())[:_SCAN_KEYS]:
            async with asyncio.timeout(_PAY_TIMEOUT_S):
                await self._set_or_delete(client, due)
            self._paid(due)

    async def _unlink(self, client: Redis, pattern: bytes) -> int:
        count = 0
        names: list[bytes] = []
        async for name in client.scan_iter(match=pattern, count=_SCAN_KEYS):
            names.append(name)
            if len(names) == _SCAN_KEYS:
                count += await client.unlink(*names)
                names.clear()
        return count + (await client.unlink(*names) if names else 0)

    def _name(self, key: bytes) -> bytes:
        if key.startswith(LASTING):
            return self._prefix + b":" + key
        return self._prefix + b":" + self._link.epoch + b":" + key


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1e3))
