"""An operator that dies after any of its writes: the next one brings the same end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from tests.operator.end_states import end_state
from tests.operator.gate import Gate
from tests.operator.homes import Home

NewHome = Callable[[], AbstractAsyncContextManager[Home]]
Step = Callable[[Home], Awaitable[None]]

# More writes than any of these lives takes: one that does not end is a fault.
MAX_WRITES = 60


async def nothing(_: Home) -> None:
    pass


async def creates(home: Home) -> None:
    await home.collect("films", shards=2, deletionPolicy="Delete")


async def created(home: Home) -> None:
    await home.ready("films")


async def grows(home: Home) -> None:
    """A change that restarts pods, one that does not, and a volume that grows."""
    await home.change(
        "films",
        {"resources": {"limits": {"memory": "2Gi"}}, "targetRecall": 0.9, "storage": {"size": "2Gi"}},
    )


async def suspends(home: Home) -> None:
    await home.change("films", {"suspend": True})


async def suspended(home: Home) -> None:
    await home.says("films", "Ready", "False", reason="Suspended")
    await home.gone("Pod", "vc-films-0-0")


async def deletes(home: Home) -> None:
    await home.api.delete("VectorCollection", "films", home.namespace)


async def deleted(home: Home) -> None:
    await home.gone("VectorCollection", "films")
    for number in range(2):
        await home.gone("StatefulSet", f"vc-films-{number}")
        await home.gone("Pod", f"vc-films-{number}-0")


async def lives(home: Home, before: Step, step: Step, gate_falls_at: int | None) -> bool:
    """One life up to its step; True where the operator died on the way."""
    if before is not nothing:
        async with home.operator():
            await before(home)
    if gate_falls_at is None:
        return False
    async with home.operator() as gate:
        gate.fall_at(gate_falls_at, "after")
        await step(home)
        return await dies(gate)


async def dies(gate: Gate, rest_s: float = 2.0) -> bool:
    """Wait until the gate falls; False where the operator comes to rest before."""
    seen = -1
    while seen != len(gate.changes):
        seen = len(gate.changes)
        with suppress(TimeoutError):
            await asyncio.wait_for(gate.fallen.wait(), rest_s)
            return True
    return False


async def check_each_death(new_home: NewHome, before: Step, step: Step, after: Step) -> None:
    async with new_home() as home:
        await lives(home, before, step, None)
        async with home.operator() as gate:
            await step(home)
            await after(home)
            await home.quiet(gate)
        wanted = await end_state(home)
    for number in range(MAX_WRITES):
        async with new_home() as home:
            died = await lives(home, before, step, number)
            async with home.operator():
                await after(home)
                await same(home, wanted, number)
        if not died:
            return
    raise AssertionError("the operator writes without end")


async def same(home: Home, wanted: dict[str, Any], number: int) -> None:
    different: dict[str, Any] = {}

    async def equal() -> bool:
        found = await end_state(home)
        different.clear()
        for key in wanted.keys() | found.keys():
            if wanted.get(key) != found.get(key):
                different[key] = (wanted.get(key), found.get(key))
        return not different

    try:
        await home.until(equal, "the end is the same")
    except AssertionError as error:
        raise AssertionError(f"killed after write {number}: {different}") from error


async def test_killed_at_each_write_of_a_creation(new_home: NewHome) -> None:
    await check_each_death(new_home, nothing, creates, created)


async def test_killed_at_each_write_of_an_update(new_home: NewHome) -> None:
    async def before(home: Home) -> None:
        await creates(home)
        await created(home)

    await check_each_death(new_home, before, grows, created)


async def test_killed_at_each_write_of_a_suspension(new_home: NewHome) -> None:
    async def before(home: Home) -> None:
        await creates(home)
        await created(home)

    await check_each_death(new_home, before, suspends, suspended)


async def test_killed_at_each_write_of_a_deletion(new_home: NewHome) -> None:
    async def before(home: Home) -> None:
        await creates(home)
        await created(home)

    await check_each_death(new_home, before, deletes, deleted)


async def test_killed_after_every_write_in_a_row(home: Home) -> None:
    """Each operator writes once and dies; together they get there."""
    await creates(home)
    for _ in range(MAX_WRITES):
        async with home.operator() as gate:
            gate.fall_at(0, "after")
            if not await dies(gate):
                break
    async with home.operator():
        await created(home)
