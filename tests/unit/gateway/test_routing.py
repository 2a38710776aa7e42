"""The table in force: swapped from a thread, seen by who waits, refused by name."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from hanax.core.errors import CollectionNotFound, DeadlineExceeded, ModelNotFound, Unavailable
from hanax.core.ids import encode_id, slot_of
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import CollectionRoute, NodeRoute, RoutingTable, ShardRoute, spread_slots
from hanax.core.specs import CollectionSpec
from hanax.gateway.guard.caller import ANYONE
from hanax.gateway.routing import Routing
from hanax.gateway.shards import gather_all, rows_by_shard


def _table(revision: int, *collections: str, shards: int = 1) -> RoutingTable:
    return RoutingTable(
        revision=revision,
        nodes=(NodeRoute(name="a", address="127.0.0.1:1"),),
        collections=tuple(
            CollectionRoute(
                uid=f"uid-{name}",
                spec=CollectionSpec(name=name, dimension=2, shards=shards),
                shards=tuple(
                    ShardRoute(shard=number, first_slot=first, last_slot=last, replicas=("a",))
                    for number, (first, last) in enumerate(spread_slots(shards))
                ),
            )
            for name in collections
        ),
        models=(ModelRoute(name="m", dimension=2, max_tokens=8, endpoints=("127.0.0.1:2",)),),
    )


async def test_without_a_table_everything_is_unavailable() -> None:
    routing = Routing()
    for look in (lambda: routing.table, lambda: routing.readable(ANYONE, "x"), lambda: routing.model("m")):
        with pytest.raises(Unavailable):
            look()


async def test_unknown_names_are_refused_and_cut_short() -> None:
    routing = Routing()
    routing.apply(_table(1, "docs"))
    assert routing.readable(ANYONE, "docs").uid == "uid-docs"
    with pytest.raises(CollectionNotFound) as caught:
        routing.readable(ANYONE, "x" * 10_000)
    assert len(caught.value.message) < 200
    with pytest.raises(ModelNotFound, match="served are: m"):
        routing.model("other")


async def test_who_waits_sees_a_table_that_a_thread_applies() -> None:
    routing = Routing()
    routing.attach()
    seen: list[int] = []
    routing.subscribe(lambda table: seen.append(table.revision))
    waiting = asyncio.create_task(
        routing.wait_for(
            lambda table: "docs" in table.collection_by_name, time.monotonic() + 10, time.monotonic
        )
    )
    for table in (_table(1), _table(2, "other"), _table(3, "docs")):
        await asyncio.sleep(0)
        assert not waiting.done()
        thread = threading.Thread(target=routing.apply, args=(table,))
        thread.start()
        thread.join()
    await waiting
    assert seen == [1, 2, 3]


async def test_waiting_ends_at_the_deadline() -> None:
    routing = Routing()
    routing.attach()
    routing.apply(_table(1))
    with pytest.raises(DeadlineExceeded):
        await routing.wait_for(lambda table: False, time.monotonic() + 0.05, time.monotonic)


def test_every_point_belongs_to_the_shard_of_its_slot() -> None:
    route = _table(1, "docs", shards=7).collections[0]
    ids = [encode_id(number) for number in range(500)]
    rows = rows_by_shard(route, ids)
    assert list(rows) == sorted(rows)
    assert sorted(row for part in rows.values() for row in part) == list(range(500))
    for shard, part in rows.items():
        first, last = route.shards[shard].first_slot, route.shards[shard].last_slot
        assert all(first <= slot_of(ids[row]) <= last for row in part)


async def test_the_first_failure_cancels_the_other_calls() -> None:
    ended: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise Unavailable("gone")

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(Unavailable):
        await gather_all([hang(), fail(), hang()])
    assert ended == ["cancelled", "cancelled"]
