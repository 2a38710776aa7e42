"""Many collections under one operator: ready soon, and then nothing is written any more."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from tests.operator.homes import Home, condition_of

# Collections, half of them on the pool. 200 is what is promised within READY_S.
SCALE = int(os.environ.get("HANAX_TEST_SCALE", "60"))
READY_S = 120.0
POOL = 4
AT_ONCE = 16
LOOK_S = 1.0


async def test_many_collections_become_ready_and_then_nothing_is_written(
    home: Home, record_property: Any
) -> None:
    names = [f"c{number:04}" for number in range(SCALE)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def declare(number: int) -> None:
        placement = "shared" if number % 2 else "dedicated"
        async with slots:
            await home.collect(names[number], placement=placement, deletionPolicy="Delete")

    async def all_ready() -> bool:
        # Lists of many are work for the cluster too, that it would not have without this test.
        await asyncio.sleep(LOOK_S)
        found = await home.api.list("VectorCollection", home.namespace)
        return sum(map(is_ready, found)) == SCALE

    await home.pool(POOL)
    # A process, for this one has the cluster to run.
    async with home.process() as (gate, operator):
        begun = time.monotonic()
        await asyncio.gather(*(declare(number) for number in range(SCALE)))
        await home.until(all_ready, f"{SCALE} collections are ready", READY_S)
        record_property("ready_s", round(time.monotonic() - begun, 1))
        await home.quiet(gate, for_s=5.0, within_s=60.0)
        record_property("writes", len(gate.changes))
        record_property("revisions", (await home.table()).revision)
        table = await home.table()
        assert await operator.end() == 0, operator.log[-2_000:]
    nodes = [table.collection_by_name[name].shards[0].replicas[0] for name in names[1::2]]
    loads = [nodes.count(f"hxv-pool-{number}") for number in range(POOL)]
    assert max(loads) - min(loads) <= 1
    assert sum(loads) == len(nodes)


def is_ready(obj: dict[str, Any]) -> bool:
    found = condition_of(obj, "Ready")
    return found is not None and found["status"] == "True"
