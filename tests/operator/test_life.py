"""A collection's life: created, served, repaired, changed, suspended, paused, deleted."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.resources.names import FINALIZER, GROUP
from tests.operator.homes import Home, condition_of
from tests.operator.standins.workloads import is_ready

Obj = dict[str, Any]


async def suspended(home: Home) -> bool:
    return (await home.table()).collection_by_name["films"].suspended


async def test_a_collection_is_created_and_ready(home: Home) -> None:
    async with home.operator():
        await home.collect("films", shards=2)
        obj = await home.ready("films")
    status = obj["status"]
    assert (status["phase"], status["readyShards"], status["points"]) == ("Ready", "2/2", 0)
    assert [shard["pods"] for shard in status["shards"]] == [["vc-films-0-0"], ["vc-films-1-0"]]
    route = (await home.table()).collection_by_name["films"]
    assert [shard.replicas for shard in route.shards] == [("vc-films-0-0",), ("vc-films-1-0",)]
    assert route.uid == obj["metadata"]["uid"]
    for number in range(2):
        child = await home.get("StatefulSet", f"vc-films-{number}")
        owner = child["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"]) == (obj["metadata"]["uid"], True)
    assert (await home.get("Service", "vc-films"))["spec"]["clusterIP"] == "None"
    assert (await home.told("films", "Ready"))["type"] == "Normal"


async def test_ready_is_never_said_before_the_shards_serve_the_generation(home: Home) -> None:
    """The pods run, but the shard is at an older generation: that is not Ready."""
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        home.cluster.faults.stale.add(f"{home.namespace}/films")
        await home.change("films", {"targetRecall": 0.9})
        await home.says("films", "Ready", "False", reason="ShardsNotOpen")
        home.cluster.faults.stale.clear()
        await home.ready("films")
        home.cluster.faults.opening.add(f"{home.namespace}/films")
        await home.says("films", "Ready", "False", reason="ShardsNotOpen")
        home.cluster.faults.opening.clear()
        await home.ready("films")


async def test_status_tells_points_and_why_a_shard_failed(home: Home) -> None:
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        home.cluster.faults.points[f"{home.namespace}/films"] = 42

        async def counted() -> bool:
            return bool((await home.get("VectorCollection", "films"))["status"].get("points") == 42)

        await home.until(counted, "42 points are told")
        home.cluster.faults.failed[f"{home.namespace}/films"] = "the log is damaged"
        obj = await home.says("films", "Degraded", "True", reason="ShardFailed")
        home.cluster.faults.failed.clear()
        assert "the log is damaged" in condition_of(obj, "Degraded")["message"]  # type: ignore[index]
        await home.ready("films")


async def test_drift_is_repaired(home: Home) -> None:
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        await home.api.merge("StatefulSet", "vc-films-0", {"spec": {"replicas": 0}}, home.namespace)
        labels = {"metadata": {"labels": {f"{GROUP}/shard": None}}}
        hidden = {"spec": {"publishNotReadyAddresses": False}}
        await home.api.merge("Service", "vc-films", hidden, home.namespace)
        await home.api.merge("StatefulSet", "vc-films-0", labels, home.namespace)

        async def repaired() -> bool:
            child = await home.get("StatefulSet", "vc-films-0")
            service = await home.get("Service", "vc-films")
            return bool(
                child["spec"]["replicas"] == 1
                and child["metadata"]["labels"].get(f"{GROUP}/shard") == "0"
                and service["spec"].get("publishNotReadyAddresses")
            )

        await home.until(repaired, "what was changed by hand is as before")
        await home.ready("films")


@pytest.mark.parametrize(("kind", "name"), [("StatefulSet", "vc-films-0"), ("Service", "vc-films")])
async def test_a_deleted_child_comes_back(home: Home, kind: str, name: str) -> None:
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        before = await home.get(kind, name)
        claim = await home.get("PersistentVolumeClaim", "data-vc-films-0-0")
        await home.api.delete(kind, name, home.namespace)

        async def back() -> bool:
            found = await home.find(kind, name)
            return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]

        await home.until(back, f"{kind} {name} is back")
        await home.ready("films")
        after = await home.get("PersistentVolumeClaim", "data-vc-films-0-0")
        assert after["metadata"]["uid"] == claim["metadata"]["uid"]


async def test_a_lost_routing_table_is_written_anew(home: Home) -> None:
    """With a revision that is not older than what pods have seen, and shards where their data lies."""
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        before = await home.table()
        await home.api.delete("ConfigMap", "hxv-routing", home.namespace)
        await home.there("ConfigMap", "hxv-routing")

        async def served() -> bool:
            table = await home.table()
            return "films" in table.collection_by_name

        await home.until(served, "the collection is in the table")
        after = await home.table()
        await home.ready("films")
    assert after.revision >= before.revision
    assert after.collection_by_name["films"].shards == before.collection_by_name["films"].shards


async def test_a_change_reaches_the_table_and_restarts_nothing(home: Home) -> None:
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        pod = await home.get("Pod", "vc-films-0-0")
        changed = await home.change("films", {"targetRecall": 0.9, "payloadIndexes": {"title": "text"}})
        await home.ready("films")
        route = (await home.table()).collection_by_name["films"]
        assert (route.generation, route.spec.target_recall) == (changed["metadata"]["generation"], 0.9)
        assert (await home.get("Pod", "vc-films-0-0"))["metadata"]["uid"] == pod["metadata"]["uid"]


async def test_a_rolling_update_takes_one_pod_at_a_time(home: Home) -> None:
    async with home.operator():
        await home.collect("films", shards=3)
        await home.ready("films")
        before = {pod["metadata"]["uid"] for pod in await home.api.list("Pod", home.namespace)}
        await home.change("films", {"resources": {"limits": {"memory": "2Gi"}}})
        away: set[int] = set()

        async def renewed() -> bool:
            pods = await home.api.list("Pod", home.namespace)
            away.add(3 - sum(map(is_ready, pods)))
            uids = {pod["metadata"]["uid"] for pod in pods}
            return len(pods) == 3 and not uids & before

        await home.until(renewed, "all pods are new", 60.0)
        await home.ready("films")
    assert max(away) <= 1


async def test_a_suspended_collection_runs_no_pods_and_keeps_its_data(home: Home) -> None:
    async with home.operator():
        await home.collect("films")
        await home.ready("films")
        await home.change("films", {"suspend": True})
        obj = await home.says("films", "Ready", "False", reason="Suspended")
        assert obj["status"]["phase"] == "Suspended"
        await home.gone("Pod", "vc-films-0-0")
        await home.until(lambda: suspended(home), "the table says that it is suspended")
        claim = await home.get("PersistentVolumeClaim", "data-vc-films-0-0")
        await home.change("films", {"suspend": False})
        await home.ready("films")
        assert not await suspended(home)
        again = await home.get("PersistentVolumeClaim", "data-vc-films-0-0")
        assert again["metadata"]["uid"] == claim["metadata"]["uid"]


async def test_a_paused_collection_is_left_alone(home: Home) -> None:
    async with home.operator() as gate:
        await home.collect("films")
        await home.ready("films")
        pause = {"metadata": {"annotations": {f"{GROUP}/paused": "true"}}}
        await home.api.merge("VectorCollection", "films", pause, home.namespace)

        async def told() -> bool:
            found = condition_of(await home.get("VectorCollection", "films"), "Progressing")
            return found is not None and found["reason"] == "Paused"

        await home.until(told, "it says that it is paused")
        await home.api.merge("StatefulSet", "vc-films-0", {"spec": {"replicas": 0}}, home.namespace)
        await home.quiet(gate)
        assert (await home.get("StatefulSet", "vc-films-0"))["spec"]["replicas"] == 0
        go_on = {"metadata": {"annotations": {f"{GROUP}/paused": None}}}
        await home.api.merge("VectorCollection", "films", go_on, home.namespace)

        async def repaired() -> bool:
            return bool((await home.get("StatefulSet", "vc-films-0"))["spec"]["replicas"] == 1)

        await home.until(repaired, "it is repaired again")
        await home.ready("films")


async def test_a_deleted_collection_leaves_its_volumes_with_retain(home: Home) -> None:
    async with home.operator():
        obj = await home.collect("films", deletionPolicy="Retain")
        obj = await home.ready("films")
        assert FINALIZER in obj["metadata"]["finalizers"]
        await home.api.delete("VectorCollection", "films", home.namespace)
        await home.gone("VectorCollection", "films")
        await home.gone("StatefulSet", "vc-films-0")
        await home.gone("Pod", "vc-films-0-0")
        event = await home.told("films", "DataKept")
        assert "data-vc-films-0-0" in event["message"]
        claim = await home.get("PersistentVolumeClaim", "data-vc-films-0-0")
        assert "deletionTimestamp" not in claim["metadata"]
        table = await home.table()
        assert "films" not in table.collection_by_name
        assert obj["metadata"]["uid"] not in [gone.uid for gone in table.deleted]


async def test_a_deleted_collection_takes_its_volumes_with_delete(home: Home) -> None:
    async with home.operator():
        await home.collect("films", deletionPolicy="Delete", shards=2)
        await home.ready("films")
        await home.api.delete("VectorCollection", "films", home.namespace)
        await home.gone("VectorCollection", "films")
        for number in range(2):
            await home.gone("StatefulSet", f"vc-films-{number}")
            await home.gone("PersistentVolumeClaim", f"data-vc-films-{number}-0")
        await home.gone("Service", "vc-films")


async def test_a_name_that_is_used_again_is_a_new_collection(home: Home) -> None:
    async with home.operator():
        first = await home.collect("films", deletionPolicy="Delete")
        await home.ready("films")
        await home.api.delete("VectorCollection", "films", home.namespace)
        await home.gone("VectorCollection", "films")
        second = await home.collect("films", deletionPolicy="Delete")
        await home.ready("films")
        route = (await home.table()).collection_by_name["films"]
    assert route.uid == second["metadata"]["uid"] != first["metadata"]["uid"]


async def test_shared_collections_live_on_the_pool(home: Home) -> None:
    async with home.operator():
        await home.pool(2)
        for name in ("one", "two"):
            await home.collect(name, placement="shared", deletionPolicy="Delete")
        for name in ("one", "two"):
            await home.ready(name)
        table = await home.table()
        nodes = {table.collection_by_name[name].shards[0].replicas for name in ("one", "two")}
        assert nodes == {("hxv-pool-0",), ("hxv-pool-1",)}
        assert await home.find("StatefulSet", "vc-one-0") is None
        obj = await home.get("VectorCollection", "one")
        await home.api.delete("VectorCollection", "one", home.namespace)
        await home.gone("VectorCollection", "one")
        assert obj["metadata"]["uid"] in [gone.uid for gone in (await home.table()).deleted]
        await home.ready("two")


async def test_a_volume_grows_where_its_class_allows(home: Home) -> None:
    async with home.operator():
        await home.collect("films", storage={"size": "1Gi"})
        await home.ready("films")
        pod = await home.get("Pod", "vc-films-0-0")
        await home.change("films", {"storage": {"size": "2Gi"}})

        async def grown() -> bool:
            claim = await home.get("PersistentVolumeClaim", "data-vc-films-0-0")
            return bool(claim["status"]["capacity"]["storage"] == "2Gi")

        await home.until(grown, "the volume has grown")
        await home.ready("films")
        assert (await home.get("Pod", "vc-films-0-0"))["metadata"]["uid"] == pod["metadata"]["uid"]


async def test_a_volume_that_cannot_grow_is_told_and_goes_on_serving(home: Home) -> None:
    async with home.operator():
        await home.collect("films", storage={"size": "1Gi", "storageClassName": "fixed"})
        await home.ready("films")
        await home.change("films", {"storage": {"size": "2Gi"}})
        await home.told("films", "StorageClassCannotGrow")

        async def said() -> bool:
            obj = await home.ready("films")
            return "StorageClassCannotGrow" in {entry["reason"] for entry in obj["status"]["conditions"]}

        await home.until(said, "a condition says so too")
