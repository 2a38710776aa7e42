"""Keys in the Redis of the cache, for all gateways that share it.

    <prefix>-once:<key>      of no run of the server, and not forgotten with the cache

A value that stands for a request in progress is replaced or removed by whoever put it, and by nobody else.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from hanax.gateway.cache.redis_link import RedisAway, RedisLink, Work
from hanax.gateway.idempotency.stores import StoreAway

_REPLACE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
"""
_REMOVE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""


class RedisKeys:
    """For one event loop."""

    def __init__(self, link: RedisLink, prefix: str) -> None:
        """link: the cache's, which opens and closes it."""
        self._link = link
        self._prefix = prefix.encode() + b"-once:"

    async def claim(self, key: bytes, value: bytes, ttl_s: float) -> bytes | None:
        name = self._prefix + key

        async def work(client: Redis) -> Any:
            return await client.set(name, value, px=_milliseconds(ttl_s), nx=True, get=True)

        found = await self._do(work)
        return None if found is None else bytes(found)

    async def replace(self, key: bytes, old: bytes, new: bytes, ttl_s: float) -> None:
        name = self._prefix + key

        async def work(client: Redis) -> Any:
            return await client.eval(_REPLACE, 1, name, old, new, _milliseconds(ttl_s))

        await self._do(work)

    async def remove(self, key: bytes, value: bytes) -> None:
        name = self._prefix + key

        async def work(client: Redis) -> Any:
            return await client.eval(_REMOVE, 1, name, value)

        await self._do(work)

    async def _do(self, work: Work) -> Any:
        try:
            return await self._link.work_off(work)
        except (RedisAway, OutOfMemoryError):
            raise StoreAway from None


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1e3))
