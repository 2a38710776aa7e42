"""A revoked key stays out, in whatever order the database's answers come, and whichever database it is."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import pytest

from hanax.core.api_keys import key_digest, new_key, new_key_id
from hanax.gateway.guard.key_files import KeyFiles, KeyPaths
from hanax.gateway.guard.key_ring import KeyRing
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.keys import ApiKeys

RIGHTS = {"grants": [{"scopes": ["read"], "collections": ["*"]}], "filter": None, "rate": None}


class SlowStore(ApiKeys):
    """One key; what the first question finds is told once `may_answer` is set, the others' at once."""

    def __init__(self, row: ApiKey) -> None:
        self.row = row
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def changed(self, revision: int) -> list[ApiKey]:
        found = [self.row] if self.row.revision > revision else []
        if not self.asked.is_set():
            self.asked.set()
            await self.may_answer.wait()
        return found


async def test_a_slow_answer_does_not_bring_back_a_revoked_key() -> None:
    key_id = new_key_id()
    key = new_key(key_id)
    live = ApiKey(key_id, "reader", key_digest(key), RIGHTS, 0, None, revision=1)
    store = SlowStore(live)
    ring = KeyRing(store, KeyFiles(KeyPaths()), time.monotonic, lambda: time.time_ns() // 1000)
    slow = asyncio.create_task(ring.poll())
    await store.asked.wait()
    store.row = dataclasses.replace(live, revoked_at_us=5, revision=2)
    next_one = asyncio.create_task(ring.poll())
    # As far as it gets while the first has no answer.
    await asyncio.wait([next_one], timeout=0.1)
    store.may_answer.set()
    await asyncio.gather(slow, next_one)
    assert await ring.find(key) is None


class Restored(ApiKeys):
    """A database that can be replaced by an earlier one of itself."""

    def __init__(self) -> None:
        self.rows: list[ApiKey] = []

    async def changed(self, revision: int) -> list[ApiKey]:
        return sorted((row for row in self.rows if row.revision > revision), key=lambda row: row.revision)


def made(revision: int) -> tuple[str, ApiKey]:
    """A new key, and what the database has of it."""
    key_id = new_key_id()
    key = new_key(key_id)
    return key, ApiKey(key_id, "reader", key_digest(key), RIGHTS, 0, None, revision=revision)


@pytest.mark.parametrize("changes", [0, 1, 2, 3])
async def test_a_database_that_was_restored_is_followed_anew(changes: int) -> None:
    """However many changes it had since, so that its revisions are lower, the same, or higher again."""
    store = Restored()
    ring = KeyRing(store, KeyFiles(KeyPaths()), time.monotonic, lambda: time.time_ns() // 1000)
    kept, kept_row = made(1)
    revoked, revoked_row = made(2)
    lost, lost_row = made(3)
    store.rows = [kept_row, revoked_row, lost_row]
    await ring.poll()
    assert await ring.find(lost) is not None
    # As it was before the third key; then one is revoked, and others are made.
    store.rows = [kept_row, dataclasses.replace(revoked_row, revoked_at_us=5)]
    others = [made(3 + number) for number in range(changes)]
    store.rows += [row for _, row in others]
    await ring.poll()
    assert await ring.find(kept) is not None
    assert await ring.find(revoked) is None
    assert await ring.find(lost) is None
    for key, _ in others:
        assert await ring.find(key) is not None
