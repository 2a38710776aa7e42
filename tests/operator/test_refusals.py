"""What can't be: refused when it is applied, or told in conditions and events soon after."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.api import Refused
from tests.operator.homes import Home, collection, condition_of

Obj = dict[str, Any]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"dimensions": 0}, "spec.dimensions"),
        ({"dimensions": "many"}, "spec.dimensions"),
        ({"metric": "near"}, "spec.metric"),
        ({"shards": 0}, "spec.shards"),
        ({"replicas": 2}, "spec.replicas"),
        ({"vectors": {"text": {"dimensions": 3}}}, "spec.vectors"),
        ({"targetRecall": 2}, "spec.targetRecall"),
        ({"deletionPolicy": "Never"}, "spec.deletionPolicy"),
        ({"storage": {"size": "much"}}, "spec.storage.size"),
    ],
)
async def test_a_bad_spec_is_refused_by_its_field(home: Home, spec: Obj, field: str) -> None:
    with pytest.raises(Refused) as found:
        await home.api.create(collection("films", **spec), home.namespace)
    assert found.value.code == 422
    assert field in str(found.value)


@pytest.mark.parametrize(
    "change", [{"dimensions": 5}, {"metric": "dot"}, {"shards": 2}, {"placement": "shared"}]
)
async def test_what_is_fixed_can_not_be_changed(home: Home, change: Obj) -> None:
    await home.collect("films")
    with pytest.raises(Refused) as found:
        await home.change("films", change)
    assert found.value.code == 422
    assert f"spec.{next(iter(change))}" in str(found.value)


async def test_an_unknown_storage_class_is_told(home: Home) -> None:
    async with home.operator():
        await home.collect("films", storage={"storageClassName": "nowhere"})
        obj = await home.says("films", "Ready", "False", reason="NoStorageClass")
        assert "nowhere" in condition_of(obj, "Ready")["message"]  # type: ignore[index]
        assert (await home.told("films", "NoStorageClass"))["type"] == "Warning"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("pending", "Unschedulable"), ("image_missing", "ImagePullFailed"), ("crashing", "PodFailed")],
)
async def test_pods_that_do_not_run_are_told_and_heal(home: Home, fault: str, reason: str) -> None:
    prefixes: set[str] = getattr(home.cluster.faults, fault)
    prefixes.add(f"{home.namespace}/vc-films")
    async with home.operator():
        await home.collect("films")
        await home.says("films", "Degraded", "True", reason=reason)
        assert (await home.told("films", reason))["type"] == "Warning"
        prefixes.discard(f"{home.namespace}/vc-films")
        home.cluster.look_again()
        obj = await home.ready("films")
    assert condition_of(obj, "Degraded")["status"] == "False"  # type: ignore[index]


@pytest.mark.parametrize("fault", ["state_broken", "state_hangs"])
async def test_a_pod_that_does_not_tell_is_not_ready(home: Home, fault: str) -> None:
    prefixes: set[str] = getattr(home.cluster.faults, fault)
    prefixes.add(f"{home.namespace}/vc-films")
    async with home.operator():
        await home.collect("films")
        await home.collect("books")
        await home.ready("books")
        await home.says("films", "Ready", "False")
        prefixes.discard(f"{home.namespace}/vc-films")
        await home.ready("films")


async def test_an_unknown_model_is_told_until_it_is_there(home: Home) -> None:
    async with home.operator():
        await home.collect("films", embeddingModel="small")
        await home.says("films", "Degraded", "True", reason="ModelUnknown")
        await home.model("small", dimensions=4, endpoint={"url": "http://127.0.0.1:9", "protocol": "openai"})
        await home.ready("films")


async def test_a_dimension_that_is_not_the_models_is_told(home: Home) -> None:
    async with home.operator():
        await home.model("small", dimensions=8, endpoint={"url": "http://127.0.0.1:9", "protocol": "openai"})
        await home.collect("films", embeddingModel="small")
        obj = await home.says("films", "Degraded", "True", reason="DimensionMismatch")
        assert "8" in condition_of(obj, "Degraded")["message"]  # type: ignore[index]


async def test_a_shared_collection_without_a_pool_is_told(home: Home) -> None:
    async with home.operator():
        await home.collect("films", placement="shared")
        await home.says("films", "Ready", "False", reason="PoolTooSmall")
        await home.pool(1)
        await home.ready("films")


async def test_a_refused_write_is_told_and_tried_again(home: Home) -> None:
    async with home.operator() as gate:
        gate.refuse(500, lambda path: "/statefulsets/" in path)
        await home.collect("films")
        await home.says("films", "Ready", "False", reason="ApplyFailed")
        tries = [write for write in gate.changes if "/statefulsets/" in write.path]
        assert len(tries) < 40, "it tries again with a pause that grows"
        gate.accept()
        await home.ready("films")
