"""The guard of a gateway, as its settings say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from hanax.core.errors import FailedPrecondition
from hanax.core.settings import GatewaySettings
from hanax.gateway.cache.cache import Cache
from hanax.gateway.guard.caller import Rate
from hanax.gateway.guard.guard import Guard, Openness
from hanax.gateway.guard.jwks import SigningKeys
from hanax.gateway.guard.key_files import KeyFiles, KeyPaths
from hanax.gateway.guard.key_ring import KeyRing
from hanax.gateway.guard.limits import RateLimits, SharedBuckets
from hanax.gateway.guard.rights import MIN_PER_S
from hanax.gateway.guard.tokens import TokenRules, Tokens
from hanax.metadata.api_keys.keys import ApiKeys
from hanax.metadata.database import Database

_ORIGIN_FORM: Final = re.compile(
    r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?"
)


def open_guard(
    settings: GatewaySettings,
    database: Database | None,
    cache: Cache,
    clock: Callable[[], float],
    now_us: Callable[[], int],
) -> Guard:
    """Raises FailedPrecondition for settings or files that are wrong, and for an address that is open to
    others while nobody is guarded.
    """
    limits = RateLimits(
        _default_rate(settings), _shared(settings, cache), max(1, len(settings.gateway_worker_ports)), clock
    )
    openness = Openness(settings.open_metrics, _origins(settings.cors_origins))
    paths = KeyPaths(settings.admin_key_file, settings.service_key_file, settings.keys_file)
    if not paths.any and not settings.jwt_jwks:
        _check_address(settings)
        return Guard(None, None, limits, openness)
    store = None if database is None else ApiKeys(database, now_us)
    ring = KeyRing(store, KeyFiles(paths), clock, now_us)
    return Guard(ring, _tokens(settings, clock, now_us), limits, openness)


def _tokens(
    settings: GatewaySettings, clock: Callable[[], float], now_us: Callable[[], int]
) -> Tokens | None:
    if not settings.jwt_jwks:
        return None
    rules = TokenRules(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithms=tuple(settings.jwt_algorithms.replace(",", " ").split()),
        leeway_s=settings.jwt_leeway_s,
        scopes_claim=settings.jwt_scopes_claim,
        scopes_prefix=settings.jwt_scopes_prefix,
        collections_claim=settings.jwt_collections_claim,
        tenant_claim=settings.jwt_tenant_claim,
        tenant_field=settings.jwt_tenant_field,
    )
    return Tokens(rules, SigningKeys(settings.jwt_jwks, settings.upstream_ca_file, clock), clock, now_us)


def _origins(told: str) -> tuple[str, ...]:
    origins = tuple(told.replace(",", " ").split())
    for origin in origins:
        if origin != "*" and not _ORIGIN_FORM.fullmatch(origin):
            raise FailedPrecondition(
                f"HANAX_CORS_ORIGINS: expected https://host, https://host:port or *, got {origin[:100]!r}"
            )
    return origins


def _default_rate(settings: GatewaySettings) -> Rate | None:
    if not settings.rate_per_s:
        return None
    if settings.rate_per_s < MIN_PER_S:
        raise FailedPrecondition(f"HANAX_RATE_PER_S: expected 0, or {MIN_PER_S:g} or more")
    return Rate(settings.rate_per_s, settings.rate_burst or max(1, round(2 * settings.rate_per_s)))


def _shared(settings: GatewaySettings, cache: Cache) -> SharedBuckets | None:
    if cache.link is None:
        return None
    # One machine has no Redis as a rule, and need not wait for its client's import.
    from hanax.gateway.guard.redis_buckets import RedisBuckets

    return RedisBuckets(cache.link, settings.redis_prefix)


def _check_address(settings: GatewaySettings) -> None:
    """Where others can connect, somebody has to say that everybody may do everything."""
    host = settings.gateway_host
    if settings.insecure or _is_loopback(host):
        return
    raise FailedPrecondition(
        f"HANAX_GATEWAY_HOST is {host!r}, where others can connect, and there are no API keys: set "
        "HANAX_ADMIN_KEY_FILE, HANAX_KEYS_FILE or HANAX_JWT_JWKS; or HANAX_INSECURE=1, and everybody may do "
        "everything"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
