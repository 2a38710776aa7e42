"""The table is written when it differs, on top of the ConfigMap it was planned from, and is never lost."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from hanax.core import planning, routing_config_map
from hanax.core.errors import FailedPrecondition, Unavailable
from hanax.core.planning import Observation
from hanax.core.resources.conditions import Reason
from hanax.core.routing import RoutingTable
from hanax.core.routing_config_map import to_config_map_data
from hanax_operator import model_pods
from hanax_operator.reconcile import routing
from hanax_operator.reconcile.routing import Publisher
from tests.integration.waiting import until
from tests.unit.operator.samples import child, collection_object, model_object
from tests.unit.operator.test_model_pods import pod
from tests.unit.operator.worlds import TABLE, World


async def test_a_table_is_written_once_and_wakes_whom_it_concerns() -> None:
    world = World()
    world.declare("a")
    assert await world.publisher.publish()
    assert world.stored().revision == 1
    assert world.woken() == ["a"]
    assert world.publisher.table == world.stored()
    for _ in range(3):
        assert not await world.publisher.publish()
    assert (world.api.writes, world.woken()) == (1, [])


async def test_an_operator_that_starts_anew_goes_on_from_the_table_in_force() -> None:
    first = World()
    first.declare("a")
    await first.publisher.publish()
    second = World(first.api)
    second.see()
    second.declare("a")
    assert not await second.publisher.publish()
    assert second.publisher.table == first.publisher.table
    assert second.woken() == ["a"]


async def test_of_two_writers_one_gets_through_and_the_other_plans_again() -> None:
    world, other = World(), World()
    world.declare("a")
    await world.publisher.publish()
    other.api = other.context.api = world.api  # type: ignore[assignment]
    other.see()
    for one in (world, other):
        one.declare("a")
    other.declare("b")
    await other.publisher.publish()
    world.declare("c")
    with pytest.raises(FailedPrecondition, match="meanwhile"):
        await world.publisher.publish()
    # It knows the other's table now, and puts its own on top.
    world.declare("b")
    await world.publisher.publish()
    assert world.stored().revision == 3
    assert list(world.stored().collection_by_name) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["deleted", "garbage", "older"])
async def test_a_table_that_is_lost_or_damaged_is_written_anew(damage: str) -> None:
    world = World()
    world.declare("a")
    await world.publisher.publish()
    world.declare("b")
    await world.publisher.publish()
    places = [route.shards for route in world.stored().collections]
    if damage == "deleted":
        world.context.store.drop(world.api.objects.pop(TABLE))
    else:
        data, binary = to_config_map_data(RoutingTable(revision=1))
        content = {"data": data, "binaryData": binary if damage == "older" else {"table.json.gz": "AAAA"}}
        await world.api.merge_patch(TABLE, content)
        world.see()
    assert await world.publisher.publish()
    assert world.stored().revision == 3
    assert [route.shards for route in world.stored().collections] == places


async def test_a_lost_table_begins_after_what_collections_and_nodes_have_seen() -> None:
    world = World()
    world.revision = 50
    world.declare("a", status={"shards": [{"shard": 0, "pods": ["hx-pool-1"], "revision": 41}]})
    await world.publisher.publish()
    assert world.stored().revision == 42
    assert world.stored().collections[0].shards[0].replicas == ("hx-pool-1",)
    await world.context.nodes.look({"hx-pool-0": "127.0.0.1"}, 42)
    await world.publisher.publish()
    assert world.stored().revision == 51


async def test_a_table_that_is_too_large_stays_out_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.declare("a")
    await world.publisher.publish()
    world.woken()
    monkeypatch.setattr(routing_config_map, "MAX_TABLE_BYTES", 10)
    world.declare("b")
    assert not await world.publisher.publish()
    assert world.publisher.problem is not None
    assert world.publisher.problem.reason is Reason.ROUTING_TABLE_TOO_LARGE
    # Only the one that waits is woken, and only once.
    assert world.woken() == ["b"]
    await world.publisher.publish()
    assert world.woken() == []
    assert world.publisher.route("a", "uid-a") is not None
    assert world.publisher.route("b", "uid-b") is None


async def test_a_write_that_fails_is_tried_again() -> None:
    world = World()
    world.declare("a")
    world.api.failure = Unavailable("no answer", status=0)
    running = asyncio.ensure_future(world.publisher.run())
    world.publisher.request()
    await until(
        "the table is written", lambda: TABLE in world.api.objects and world.publisher.problem is None
    )
    running.cancel()
    assert world.stored().revision == 1


async def test_a_defect_of_planning_stops_neither_the_publisher_nor_what_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One collection that no plan can be made with: the table stays, those that wait say why, it goes on."""
    world = World()
    world.declare("a")
    await world.publisher.publish()
    world.woken()

    def plan(previous: RoutingTable, seen: Observation) -> RoutingTable | None:
        if any(entry.spec.name == "bad" for entry in seen.entries):
            raise TypeError("a defect")
        return planning.plan(previous, seen)

    monkeypatch.setattr(routing, "plan", plan)
    world.declare("bad")
    running = asyncio.ensure_future(world.publisher.run())
    world.publisher.request()
    await until("a problem is told", lambda: world.publisher.problem)
    problem = world.publisher.problem
    assert problem is not None
    assert problem.reason is Reason.APPLY_FAILED
    assert "a defect" in problem.message
    assert world.woken() == ["bad"]
    assert list(world.stored().collection_by_name) == ["a"]
    world.context.store.drop(collection_object("bad", resourceVersion="11"))
    world.declare("b")
    await until("the next has a route", lambda: world.publisher.route("b", "uid-b"))
    assert world.publisher.problem is None
    assert not running.done()
    running.cancel()


async def test_a_route_is_that_of_the_uid() -> None:
    world = World()
    world.declare("a")
    await world.publisher.publish()
    assert world.publisher.route("a", "uid-a") is not None
    assert world.publisher.route("a", "another") is None


async def test_aliases_follow_their_config_map_and_stay_when_it_is_damaged() -> None:
    world = World()
    world.declare("a")
    name = world.context.release.aliases_config_map
    text = '{"generation": 1, "collection_by_alias": {"latest": "a"}}'
    world.context.store.put(child("ConfigMap", name, data={"aliases.json": text}))
    await world.publisher.publish()
    assert world.stored().aliases.collection_by_alias == {"latest": "a"}
    damaged = child("ConfigMap", name, data={"aliases.json": "{"}, metadata={"resourceVersion": "21"})
    world.context.store.put(damaged)
    assert not await world.publisher.publish()
    assert world.stored().aliases.collection_by_alias == {"latest": "a"}


async def test_a_change_that_is_held_back_is_published_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing else asks for it: pods tell nothing while they stay ready."""
    monkeypatch.setattr(model_pods, "HOLD_S", 0.3)
    world = World()
    world.context.clock_s = time.monotonic
    world.publisher = Publisher(world.context, random.Random(1))
    world.context.store.put(model_object(spec={"endpoint": None, "serve": {"model": "m"}}))
    running = asyncio.ensure_future(world.publisher.run())

    async def told(*numbers: int) -> None:
        wanted = tuple(f"10.0.0.{number}:9301" for number in numbers)
        await until(
            "all are routed to", lambda: world.publisher.table.model_by_name["mini"].addresses == wanted
        )

    world.context.store.put(pod(1, model="mini"))
    await world.publisher.publish()
    await told(1)
    revision = world.publisher.table.revision
    for number in (2, 3, 4):
        world.context.store.put(pod(number, model="mini"))
        world.publisher.request()
    await told(1, 2, 3, 4)
    assert world.publisher.table.revision == revision + 1
    running.cancel()
