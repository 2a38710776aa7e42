"""When a kept answer may be given: while no write has ended since before its search, and before its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from hanax.core.errors import Unavailable
from hanax.core.limits import SLOTS
from hanax.core.routing import CollectionRoute, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.cache.answers import AnswerCache, Asked, Keeping
from hanax.gateway.cache.codecs import Codec
from hanax.gateway.cache.control import CacheControl
from hanax.gateway.cache.frequent import Frequent
from hanax.gateway.cache.memory import MemoryStore
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.cache.stores import MAX_VALUE_BYTES
from hanax.gateway.cache.versions import DOUBT_S, Versions
from hanax.gateway.calls import Call
from hanax.gateway.requests import CountRequest

TEXT: Final[Codec[str]] = Codec(lambda text, blobs: text, lambda data, blobs: str(data))
NOW_US: Final = 1_800_000_000_000_000
UID: Final = "uid-1"
ROUTE: Final = CollectionRoute(
    uid=UID,
    spec=CollectionSpec(name="docs", dimension=3),
    shards=(ShardRoute(shard=0, first_slot=0, last_slot=SLOTS - 1, replicas=("shard-0",)),),
)
ASKED: Final = Asked("search", ROUTE, CountRequest(collection="docs"), b"", Keeping(TEXT, "searches", 10.0))


class Place:
    """A cache on a clock of its own, and what the collection has now."""

    def __init__(self) -> None:
        self.now = 0.0
        self.store = MemoryStore(16 * 1024 * 1024, lambda: self.now)
        self.versions = Versions(self.store)
        self.metrics = CacheMetrics(CollectorRegistry())
        self.cache = AnswerCache(
            self.versions,
            {"searches": 300.0},
            self.metrics,
            Frequent(),
            lambda: NOW_US + round(self.now * 1e6),
        )
        self.value = "first"
        self.asked = 0
        self.call = self.new_call()

    def new_call(self, control: CacheControl | None = None) -> Call:
        return Call("an-id", lambda: self.now, control or CacheControl())

    async def get(
        self,
        control: CacheControl | None = None,
        during: Callable[[], object] = lambda: None,
        ends_at_us: int | None = None,
    ) -> str:
        self.call = self.new_call(control)

        async def ask() -> str:
            self.asked += 1
            found = self.value
            self.call.ends_at(ends_at_us)
            await asyncio.sleep(0)
            ended = during()
            if asyncio.iscoroutine(ended):
                await ended
            return found

        return await self.cache.answer(self.call, ASKED, ask)


async def test_an_answer_is_given_again_with_its_age_until_its_time_is_over() -> None:
    place = Place()
    assert await place.get() == "first"
    assert (place.call.cached_age_s, place.call.cache_missed) == (None, True)
    place.value, place.now = "second", 299.0
    assert await place.get() == "first"
    assert (place.call.cached_age_s, place.call.cache_missed) == (299.0, False)
    place.now = 300.0
    assert await place.get() == "second"
    assert (place.metrics.hits["search"], place.metrics.misses["search"]) == (1, 2)


async def test_a_write_voids_all_answers_of_its_collection_and_no_others() -> None:
    place = Place()
    await place.get()
    place.value = "second"
    await place.versions.renew("uid-2")
    assert await place.get() == "first"
    await place.versions.renew(UID)
    assert await place.get() == "second"


async def test_a_search_that_a_write_overtakes_leaves_nothing_behind() -> None:
    place = Place()

    async def write() -> None:
        place.value = "second"
        await place.versions.renew(UID)

    assert await place.get(during=write) == "first"
    assert await place.get() == "second"
    assert await place.get() == "second"
    assert place.asked == 2


async def test_a_request_after_a_write_waits_for_no_search_from_before_it() -> None:
    place = Place()
    going = asyncio.Event()
    early = asyncio.ensure_future(place.get(during=going.wait))
    for _ in range(5):
        await asyncio.sleep(0)
    place.value = "second"
    await place.versions.renew(UID)
    assert await place.get() == "second"
    going.set()
    assert await early == "first"
    assert await place.get() == "second"


async def test_while_a_write_is_in_doubt_nothing_is_given_or_kept() -> None:
    place = Place()
    await place.get()
    await place.versions.doubt(UID)
    # The next write ends well, which says nothing of the other.
    await place.versions.renew(UID)
    for number in range(3):
        place.value = f"value {number}"
        assert await place.get() == place.value
    place.now += DOUBT_S
    assert await place.get() == "value 2"
    place.value = "later"
    assert await place.get() == "value 2"


async def test_a_token_that_is_lost_takes_the_answers_with_it() -> None:
    place = Place()
    await place.get()
    entry = place.store._held.copy()
    place.value = "second"
    await place.store.clear()
    # All comes back but the token, as when a store evicts.
    place.store._held.update({key: held for key, held in entry.items() if not key.startswith(b"v:")})
    assert await place.get() == "second"


async def test_an_answer_ends_when_what_it_tells_of_does() -> None:
    place = Place()
    assert await place.get(ends_at_us=NOW_US + 2_000_000) == "first"
    place.value, place.now = "second", 1.9
    assert await place.get() == "first"
    place.now = 2.0
    assert await place.get(ends_at_us=NOW_US + 2_000_000) == "second"
    place.value = "third"
    assert await place.get() == "third"


async def test_cache_control_is_obeyed() -> None:
    place = Place()
    await place.get(CacheControl(read=False, store=False))
    place.value = "second"
    assert await place.get() == "second"
    place.value, place.now = "third", 10.0
    assert await place.get(CacheControl(max_age_s=10)) == "second"
    assert await place.get(CacheControl(read=False)) == "third"
    assert await place.get() == "third"
    place.value, place.now = "fourth", 15.0
    assert await place.get(CacheControl(max_age_s=4)) == "fourth"


async def test_errors_and_answers_that_are_too_large_are_not_kept() -> None:
    place = Place()

    def fail() -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await place.get(during=fail)
    assert await place.get() == "first"
    await place.versions.renew(UID)
    place.value = "x" * MAX_VALUE_BYTES
    await place.get()
    place.value = "small"
    assert await place.get() == "small"


async def test_bytes_that_are_no_answer_are_a_miss() -> None:
    place = Place()
    await place.get()
    for key, (data, until) in list(place.store._held.items()):
        if key.startswith(b"a:"):
            place.store._held[key] = (data[:-1], until)
    place.value = "second"
    assert await place.get() == "second"
