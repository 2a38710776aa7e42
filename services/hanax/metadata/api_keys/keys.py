"""API keys in the database: made, rotated, revoked, and followed by those who let callers in.

Who changes keys takes a turn: revisions ascend in the order of commits, so who has read all changes up to
one, and asks for those behind it, misses none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import FailedPrecondition, KeyNotFound
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.tables import API_KEYS
from hanax.metadata.database import Database
from hanax.metadata.pages import Pages, Place
from hanax.metadata.turns import Turn, take_turn

# All of them are in the memory of every gateway: some 10 MiB.
MAX_KEYS: Final = 10_000
# How long a key that has ended is listed.
_KEEP_ENDED_US: Final = 30 * 24 * 3_600 * 1_000_000

_C = API_KEYS.c
_PAGES: Final = Pages(select(API_KEYS), API_KEYS)


class ApiKeys:
    """Each method raises what `Database.run` raises; those of one key KeyNotFound."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._database = database
        self._now_us = now_us

    async def add(self, key: ApiKey) -> ApiKey:
        """Keep a new key; forget those that ended long ago. Raises FailedPrecondition for too many."""
        before_us = self._now_us() - _KEEP_ENDED_US
        values = {
            "id": key.id,
            "name": key.name,
            "hash": key.digest,
            "rights": dict(key.rights),
            "created_at_us": key.created_at_us,
            "expires_at_us": key.expires_at_us,
        }

        async def work(connection: AsyncConnection) -> ApiKey:
            await take_turn(connection, Turn.CHANGING_KEYS)
            # The revision first: it must not fall when the newest go.
            revision = await _next_revision(connection)
            ended = or_(_C.revoked_at_us < before_us, _C.expires_at_us < before_us)
            await connection.execute(delete(API_KEYS).where(ended))
            count = (await connection.execute(select(func.count()).select_from(API_KEYS))).scalar_one()
            if count >= MAX_KEYS:
                raise FailedPrecondition(f"there are {count} API keys already: revoke some", limit=MAX_KEYS)
            await connection.execute(insert(API_KEYS).values({**values, "revision": revision}))
            return await _find(connection, key.id)

        return await self._database.run_by_locks(work)

    async def get(self, key_id: str) -> ApiKey:
        return _found(key_id, await self._database.ask(_one(key_id)))

    async def page(self, limit: int, after: Place | None) -> list[ApiKey]:
        """The newest first."""
        rows = await self._database.ask(*_PAGES.at(limit, after))
        return [_key(row) for row in rows]

    async def rotate(self, key_id: str, digest: str, grace_us: int) -> ApiKey:
        """Another secret; the one before is good for `grace_us` more. Raises FailedPrecondition for one that
        has ended.
        """

        async def work(connection: AsyncConnection) -> ApiKey:
            await take_turn(connection, Turn.CHANGING_KEYS)
            key = await _find(connection, key_id)
            now_us = self._now_us()
            if key.revoked_at_us is not None or (key.expires_at_us or now_us + 1) <= now_us:
                raise FailedPrecondition(f"the key {key_id} is revoked or has expired", key=key_id)
            values = {
                "hash": digest,
                "previous_hash": key.digest if grace_us else None,
                "previous_until_us": now_us + grace_us if grace_us else None,
            }
            return await _change(connection, key_id, values)

        return await self._database.run_by_locks(work)

    async def revoke(self, key_id: str) -> ApiKey:
        """For good. One that is revoked is told as it is."""

        async def work(connection: AsyncConnection) -> ApiKey:
            await take_turn(connection, Turn.CHANGING_KEYS)
            key = await _find(connection, key_id)
            if key.revoked_at_us is not None:
                return key
            values = {"revoked_at_us": self._now_us(), "previous_hash": None, "previous_until_us": None}
            return await _change(connection, key_id, values)

        return await self._database.run_by_locks(work)

    async def changed(self, revision: int) -> list[ApiKey]:
        """All that changed behind this revision, ascending."""
        query = select(API_KEYS).where(_C.revision > revision).order_by(_C.revision).limit(MAX_KEYS)
        return [_key(row) for row in await self._database.ask(query)]

    async def used(self, at_us_by_id: Mapping[str, int]) -> None:
        """When keys were last used."""
        if not at_us_by_id:
            return

        async def work(connection: AsyncConnection) -> None:
            # Each only moves on. In one order everywhere, so that two gateways do not wait for each other.
            for key_id, at_us in sorted(at_us_by_id.items()):
                later = or_(_C.last_used_at_us.is_(None), _C.last_used_at_us < at_us)
                await connection.execute(
                    update(API_KEYS).where(_C.id == key_id, later).values(last_used_at_us=at_us)
                )

        await self._database.run_by_locks(work)


async def _next_revision(connection: AsyncConnection) -> int:
    newest: int | None = (await connection.execute(select(func.max(_C.revision)))).scalar_one()
    return (newest or 0) + 1


async def _change(connection: AsyncConnection, key_id: str, values: dict[str, Any]) -> ApiKey:
    values["revision"] = await _next_revision(connection)
    await connection.execute(update(API_KEYS).where(_C.id == key_id).values(values))
    return await _find(connection, key_id)


async def _find(connection: AsyncConnection, key_id: str) -> ApiKey:
    return _found(key_id, (await connection.execute(_one(key_id))).all())


def _one(key_id: str) -> Select[Any]:
    return select(API_KEYS).where(_C.id == key_id)


def _found(key_id: str, rows: Sequence[Any]) -> ApiKey:
    if not rows:
        raise KeyNotFound(f"there is no API key {key_id[:32]!r}", key=key_id[:32])
    return _key(rows[0])


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        digest=row.hash,
        rights=row.rights,
        created_at_us=row.created_at_us,
        expires_at_us=row.expires_at_us,
        revoked_at_us=row.revoked_at_us,
        last_used_at_us=row.last_used_at_us,
        previous_digest=row.previous_hash,
        previous_until_us=row.previous_until_us,
        revision=row.revision,
    )
