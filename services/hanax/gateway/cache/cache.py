"""The cache of one gateway: its store, what is kept in it, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hanax.core.errors import FailedPrecondition, Unavailable
from hanax.core.settings import GatewaySettings
from hanax.gateway.cache.answers import AnswerCache, Kind
from hanax.gateway.cache.embeddings import KeptEmbeddings
from hanax.gateway.cache.frequent import Frequent
from hanax.gateway.cache.memory import MemoryStore
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.cache.stores import Store, StoreStats
from hanax.gateway.cache.versions import Versions
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.kept import EmbeddingCache, NoCache

if TYPE_CHECKING:
    from hanax.gateway.cache.redis_link import RedisLink

OFF: Final = StoreStats("off", "ok", None, None)


@dataclass(frozen=True, slots=True)
class Rate:
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float | None:
        """None before the first look-up."""
        looked = self.hits + self.misses
        return self.hits / looked if looked else None


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counts are those of this gateway since it started."""

    store: StoreStats
    keeps_searches: bool
    operations: dict[str, Rate]
    frequent: int

    @property
    def total(self) -> Rate:
        rates = self.operations.values()
        return Rate(sum(rate.hits for rate in rates), sum(rate.misses for rate in rates))


class Cache:
    def __init__(
        self,
        settings: GatewaySettings,
        metrics: Metrics,
        clock: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        """Raises FailedPrecondition for Redis without a URL that leads to one."""
        self._off = settings.cache == "off"
        self._operations = metrics
        self._metrics = CacheMetrics(metrics.registry)
        self.store = _open(settings, self._metrics, clock)
        self.versions = Versions(self.store)
        self.frequent = Frequent()
        ttl_s: dict[Kind, float] = {}
        # In memory, a gateway hears of no write that another one takes.
        alone = self.is_shared or not settings.gateway_worker_ports
        if settings.cache_searches and not self._off and alone:
            ttl_s = {"searches": settings.cache_searches_ttl_s, "metadata": settings.cache_metadata_ttl_s}
        self._keeps_searches = bool(ttl_s)
        self.answers = AnswerCache(self.versions, ttl_s, self._metrics, self.frequent, now_us)
        self.embeddings: EmbeddingCache = (
            NoCache()
            if self._off
            else KeptEmbeddings(self.store, settings.cache_embeddings_ttl_s, self._metrics, now_us)
        )

    @property
    def is_shared(self) -> bool:
        """Other gateways read what this one keeps, and those that start later."""
        return not isinstance(self.store, MemoryStore)

    @property
    def link(self) -> RedisLink | None:
        """The way to the Redis that gateways share; None: there is none."""
        return getattr(self.store, "link", None)

    def start(self) -> None:
        self.store.start()

    async def close(self) -> None:
        await self.store.close()

    async def clear(self, call: Call) -> int:
        """Forget all that is kept, here and for gateways that share the store; how many entries.

        Raises Unauthenticated, PermissionDenied, and Unavailable while the store is away.
        """
        with self._operations.changing("clear_cache", None, call):
            call.caller.require_all(Scope.ADMIN, "the cache")
            entries = await self.store.clear()
            if entries is None:
                raise Unavailable("the cache's store is away: what it keeps can't be forgotten now")
            return entries

    async def stats(self, call: Call) -> CacheStats:
        """Raises Unauthenticated and PermissionDenied."""
        call.caller.require_all(Scope.READ, "the cache")
        hits, misses = self._metrics.hits, self._metrics.misses
        rates = {name: Rate(hits[name], misses[name]) for name in sorted({*hits, *misses})}
        store = OFF if self._off else await self.store.stats()
        return CacheStats(store, self._keeps_searches, rates, len(self.frequent.most(1_000)))


def _open(settings: GatewaySettings, metrics: CacheMetrics, clock: Callable[[], float]) -> Store:
    if settings.cache == "redis" and not settings.redis_url:
        raise FailedPrecondition("HANAX_REDIS_URL is not set: a cache in Redis needs it")
    if settings.cache in ("memory", "off") or not settings.redis_url:
        return MemoryStore(settings.cache_bytes, clock)
    # One machine has no Redis as a rule, and need not wait for its client's import.
    from hanax.gateway.cache.redis_link import RedisPlace
    from hanax.gateway.cache.redis_store import RedisStore

    place = RedisPlace(
        settings.redis_url, settings.redis_password_file, settings.redis_prefix, settings.redis_patience_s
    )
    return RedisStore(place, metrics)
