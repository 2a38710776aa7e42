"""API keys as their administrators manage them. A key is told once, when it is made or rotated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hanax.core.api_keys import key_digest, new_key, new_key_id
from hanax.core.errors import InvalidArgument
from hanax.gateway.calls import Call
from hanax.gateway.guard.rights import NewKey, Rights, RotateKey, forced_of, grants_of, kept_rights
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.requests import parse_request
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.keys import ApiKeys
from hanax.metadata.database import Database
from hanax.metadata.opening import configured
from hanax.metadata.pages import Place

_WHAT: Final = "API keys"


@dataclass(frozen=True, slots=True)
class Told:
    """key: the whole key, which is kept nowhere; None where it was told before."""

    kept: ApiKey
    rights: Rights
    key: str | None = None


class KeyDesk:
    """Each method raises Unauthenticated and PermissionDenied for who may not administer everything,
    DatabaseNotConfigured and DatabaseUnavailable; those of one key KeyNotFound.
    """

    def __init__(self, database: Database | None, metrics: Metrics, now_us: Callable[[], int]) -> None:
        """database: None where none is configured. now_us: microseconds since 1970 UTC."""
        self._database = database
        self._metrics = metrics
        self._now_us = now_us

    async def create(self, call: Call, request: NewKey) -> Told:
        """Good everywhere at once. Raises InvalidArgument for rights that are none."""
        with self._metrics.operation("create_key", None, call):
            store = self._open(call)
            grants_of(request)
            forced_of(request.filter)
            now_us = self._now_us()
            key_id = new_key_id()
            key = new_key(key_id)
            expires_at_us = _expiry(request.expires_at, now_us)
            made = ApiKey(key_id, request.name, key_digest(key), kept_rights(request), now_us, expires_at_us)
            return _told(await store.add(made), key)

    async def list(self, call: Call, limit: int, after: Place | None) -> list[Told]:
        """The newest first, those that ended in the last 30 days among them."""
        with self._metrics.operation("list_keys", None, call):
            return [_told(key) for key in await self._open(call).page(limit, after)]

    async def get(self, call: Call, key_id: str) -> Told:
        with self._metrics.operation("get_key", None, call):
            return _told(await self._open(call).get(key_id))

    async def rotate(self, call: Call, key_id: str, request: RotateKey) -> Told:
        """Another secret under the same id; the one before is good for the grace time, and no longer than
        the key. Raises FailedPrecondition for a key that has ended.
        """
        with self._metrics.operation("rotate_key", None, call):
            store = self._open(call)
            key = new_key(key_id)
            rotated = await store.rotate(key_id, key_digest(key), round(request.grace_s * 1e6))
            return _told(rotated, key)

    async def revoke(self, call: Call, key_id: str) -> Told:
        """For good; every gateway refuses it within seconds. One that is revoked stays as it is."""
        with self._metrics.operation("revoke_key", None, call):
            return _told(await self._open(call).revoke(key_id))

    def _open(self, call: Call) -> ApiKeys:
        call.caller.require_all(Scope.ADMIN, _WHAT)
        return ApiKeys(configured(self._database), self._now_us)


def _told(kept: ApiKey, key: str | None = None) -> Told:
    return Told(kept, parse_request(Rights, dict(kept.rights)), key)


def _expiry(at: datetime | None, now_us: int) -> int | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise InvalidArgument("expires_at: expected an instant with its offset, as 2027-01-01T00:00:00Z")
    at_us = round(at.timestamp() * 1e6)
    if at_us <= now_us:
        raise InvalidArgument("expires_at: expected an instant to come")
    return at_us
