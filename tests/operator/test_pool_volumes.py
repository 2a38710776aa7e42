"""Volumes of the shard pool grow to what its StatefulSet is annotated with: its template can't be changed."""

from __future__ import annotations

from hanax.core.resources.names import STORAGE_SIZE
from tests.operator.clusters import FIXED
from tests.operator.homes import POOL, Home


async def want(home: Home, size: str) -> None:
    """As an upgrade of the chart does."""
    annotated = {"metadata": {"annotations": {STORAGE_SIZE: size}}}
    await home.api.merge("StatefulSet", POOL, annotated, home.namespace)


async def has(home: Home, number: int, size: str) -> None:
    """Wait until the volume of a pod has this size."""

    async def grown() -> bool:
        claim = await home.find("PersistentVolumeClaim", f"data-{POOL}-{number}")
        status = {} if claim is None else claim.get("status", {})
        return bool(status.get("capacity", {}).get("storage") == size)

    await home.until(grown, f"volume {number} of the pool has {size}")


async def test_volumes_of_the_pool_grow_and_no_pod_restarts(home: Home) -> None:
    async with home.operator() as gate:
        await home.pool(1)
        await home.collect("one", placement="shared")
        await home.ready("one")
        await has(home, 0, "1Gi")
        before = await home.get("Pod", f"{POOL}-0")
        await want(home, "2Gi")
        await has(home, 0, "2Gi")
        told = await home.told(POOL, "GrowingVolumes", "StatefulSet")
        assert f"data-{POOL}-0 grows from 1Gi to 2Gi" in told["message"]
        assert (await home.get("Pod", f"{POOL}-0"))["metadata"]["uid"] == before["metadata"]["uid"]
        # The template of a pod that comes later still has the first size.
        await home.api.merge("StatefulSet", POOL, {"spec": {"replicas": 2}}, home.namespace)
        await has(home, 1, "2Gi")
        await home.quiet(gate)
        written = len(gate.changes)
        await want(home, "1Gi")
        await home.quiet(gate)
        assert gate.changes[written:] == []
    await has(home, 0, "2Gi")


async def test_a_size_that_was_wanted_while_no_operator_ran_is_seen_to(home: Home) -> None:
    await home.pool(1)
    await has(home, 0, "1Gi")
    await want(home, "3Gi")
    async with home.operator():
        await has(home, 0, "3Gi")


async def test_volumes_that_cannot_grow_are_told(home: Home) -> None:
    async with home.operator():
        await home.pool(1, FIXED)
        await has(home, 0, "1Gi")
        await want(home, "2Gi")
        told = await home.told(POOL, "StorageClassCannotGrow", "StatefulSet")
        assert (told["type"], f"data-{POOL}-0 can't grow" in told["message"]) == ("Warning", True)
        await want(home, "plenty")
        assert "plenty" in (await home.told(POOL, "InvalidSpec", "StatefulSet"))["message"]
        await home.collect("one", placement="shared")
        await home.ready("one")
    claim = await home.get("PersistentVolumeClaim", f"data-{POOL}-0")
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
