"""A revoked key stays out, in whatever order the database's answers come."""

from __future__ import annotations

import asyncio
import dataclasses
import time

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
