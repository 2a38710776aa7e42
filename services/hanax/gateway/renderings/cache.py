"""What the cache tells of itself, as users see it."""

from __future__ import annotations

from typing import Any

from hanax.gateway.cache.cache import CacheStats, Rate


def render_stats(found: CacheStats) -> dict[str, Any]:
    return {
        "backend": found.store.backend,
        "state": found.store.state,
        "keeps_searches": found.keeps_searches,
        "entries": found.store.entries,
        "bytes": found.store.used_bytes,
        **render_rate(found.total),
        "operations": {name: render_rate(rate) for name, rate in found.operations.items()},
        "frequent_requests": found.frequent,
    }


def render_rate(rate: Rate) -> dict[str, int | float | None]:
    return {"hits": rate.hits, "misses": rate.misses, "hit_rate": rate.hit_rate}
