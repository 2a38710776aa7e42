"""Token buckets in Redis, one script a request; the server's own clock counts, so that gateways agree."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from hanax.gateway.cache.redis_link import RedisAway, RedisLink
from hanax.gateway.guard.caller import Rate
from hanax.gateway.guard.limits import Taken

# Answers whether there was a token, and how many are left; as text, since Redis cuts numbers. No bucket is
# kept for more than 300 years: Redis refuses what is no number of 64 bits.
_SCRIPT: Final = b"""
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if kept[1] and kept[2] then
  tokens = math.min(burst, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * rate)
end
local granted = 0
if tokens >= 1 then
  tokens = tokens - 1
  granted = 1
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.min(math.ceil((burst / rate) * 1000) + 1000, 1e13))
return {granted, string.format('%.9f', tokens)}
"""


class RedisBuckets:
    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._sha = ""

    async def take(self, name: str, rate: Rate) -> Taken | None:
        if not self._link.up:
            return None
        key = f"{self._prefix}:rate:{name}"
        given = (repr(rate.per_s), rate.burst)

        async def work(client: Redis) -> Any:
            try:
                if self._sha:
                    return await client.evalsha(self._sha, 1, key, *given)
            except NoScriptError:
                pass
            loaded: Any = await client.script_load(_SCRIPT)
            self._sha = loaded if isinstance(loaded, str) else loaded.decode()
            return await client.evalsha(self._sha, 1, key, *given)

        try:
            granted, tokens = await self._link.look_up(work)
        except (RedisAway, OutOfMemoryError):
            return None
        return Taken(granted == 1, float(tokens))
