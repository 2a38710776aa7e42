"""API keys as their administrators manage them. A key is told once, when it is made or rotated."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hanax.core.api_keys import key_digest, new_key, new_key_id
from hanax.core.errors import InvalidArgument, InvalidCursor
from hanax.gateway.calls import Call
from hanax.gateway.guard.rights import NewKey, Rights, RotateKey, ending_of, forced_of, grants_of, kept_rights
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.requests import parse_request
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.keys import ApiKeys
from hanax.metadata.database import Database
from hanax.metadata.opening import configured
from hanax.metadata.pages import Place

_WHAT: Final = "API keys"
_CURSOR: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Told:
    """key: the whole key, which is kept nowhere; None where it was told before."""

    kept: ApiKey
    rights: Rights
    key: str | None = None


@dataclass(frozen=True, slots=True)
class KeyPage:
    keys: Sequence[Told]
    next_cursor: str | None


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
        with self._metrics.changing("create_key", None, call):
            store = self._open(call)
            grants_of(request)
            forced_of(request.filter)
            now_us = self._now_us()
            key_id = new_key_id()
            key = new_key(key_id)
            expires_at_us = _expiry(request.expires_at, now_us)
            made = ApiKey(key_id, request.name, key_digest(key), kept_rights(request), now_us, expires_at_us)
            return _told(await store.add(made), key)

    async def page(self, call: Call, limit: int, cursor: str | None) -> KeyPage:
        """The newest first, those that ended in the last 30 days among them. Raises InvalidCursor."""
        with self._metrics.reading("list_keys", None, call):
            store = self._open(call)
            # One more tells whether there is a next page.
            found = await store.page(limit + 1, _read_cursor(cursor))
            last = found[limit - 1] if len(found) > limit else None
            following = None if last is None else f"{last.created_at_us}.{last.id}"
            return KeyPage([_told(key) for key in found[:limit]], following)

    async def get(self, call: Call, key_id: str) -> Told:
        with self._metrics.reading("get_key", None, call):
            return _told(await self._open(call).get(key_id))

    async def rotate(self, call: Call, key_id: str, request: RotateKey) -> Told:
        """Another secret under the same id; the one before is good for the grace time, and no longer than
        the key. Raises FailedPrecondition for a key that has ended.
        """
        with self._metrics.changing("rotate_key", None, call):
            store = self._open(call)
            key = new_key(key_id)
            rotated = await store.rotate(key_id, key_digest(key), round(request.grace_s * 1e6))
            return _told(rotated, key)

    async def revoke(self, call: Call, key_id: str) -> Told:
        """For good; every gateway refuses it within seconds. One that is revoked stays as it is."""
        with self._metrics.changing("revoke_key", None, call):
            return _told(await self._open(call).revoke(key_id))

    def _open(self, call: Call) -> ApiKeys:
        call.caller.require_all(Scope.ADMIN, _WHAT)
        return ApiKeys(configured(self._database), self._now_us)


def _told(kept: ApiKey, key: str | None = None) -> Told:
    return Told(kept, parse_request(Rights, dict(kept.rights)), key)


def _expiry(at: datetime | None, now_us: int) -> int | None:
    at_us = ending_of(at)
    if at_us is not None and at_us <= now_us:
        raise InvalidArgument("expires_at: expected an instant to come")
    return at_us


def _read_cursor(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidCursor("cursor: expected next_cursor of a page of keys")
    return Place(int(found[1]), found[2])
