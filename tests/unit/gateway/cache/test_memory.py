"""The store in memory: bounded in bytes, the least recently used goes first, nothing outlives its time."""

from __future__ import annotations

from hanax.gateway.cache.memory import MemoryStore
from hanax.gateway.cache.stores import MAX_VALUE_BYTES, Value


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_value_is_there_until_its_time_is_over() -> None:
    clock = Clock()
    store = MemoryStore(1_000_000, clock)
    store.keep(b"a", Value(b"1", 5.0))
    clock.now += 4.9
    assert await store.read([b"a", b"b"]) == [b"1", None]
    clock.now += 0.1
    assert await store.read([b"a"]) == [None]
    assert (await store.stats()).used_bytes == 0


async def test_the_bytes_are_bounded_and_the_least_recently_used_go() -> None:
    store = MemoryStore(100_000, Clock())
    for number in range(9):
        store.keep(b"%d" % number, Value(bytes(10_000), 60.0))
    assert await store.read([b"0"]) != [None]
    for number in range(9, 13):
        store.keep(b"%d" % number, Value(bytes(10_000), 60.0))
    found = await store.read([b"%d" % number for number in range(13)])
    assert found is not None
    assert [number for number, value in enumerate(found) if value is not None] == [
        0,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
    ]
    stats = await store.stats()
    assert stats.used_bytes is not None
    assert 90_000 < stats.used_bytes <= 100_000


async def test_what_is_too_large_is_not_kept_and_takes_the_old_value_with_it() -> None:
    store = MemoryStore(4 * MAX_VALUE_BYTES, Clock())
    store.keep(b"a", Value(b"old", 60.0))
    store.keep(b"a", Value(bytes(MAX_VALUE_BYTES + 1), 60.0))
    assert await store.read([b"a"]) == [None]
    assert (await store.stats()).used_bytes == 0
    store.keep(b"a", Value(bytes(MAX_VALUE_BYTES), 60.0))
    assert await store.read([b"a"]) != [None]


async def test_replacing_a_value_counts_its_bytes_once() -> None:
    store = MemoryStore(1_000_000, Clock())
    for size in (1_000, 10, 2_000, 16):
        store.keep(b"a", Value(bytes(size), 60.0))
    used = (await store.stats()).used_bytes
    assert await store.claim(b"a", 60.0) == bytes(16)
    await store.renew({b"a": 60.0})
    assert (await store.stats()).used_bytes == used
    token = await store.claim(b"a", 60.0)
    assert token not in (None, bytes(16))
    assert await store.clear() == 1
    assert await store.claim(b"a", 60.0) not in (None, token)
