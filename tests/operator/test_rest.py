"""Nothing is written when nothing changed, and nothing restarts that need not."""

from __future__ import annotations

from tests.operator.gate import Gate
from tests.operator.homes import Home


async def resyncs(home: Home, gate: Gate, times: int) -> None:
    """Wait until the operator that leads has looked at everything that many times more."""

    async def leads() -> bool:
        return any("/leases" in write.path and 200 <= write.code < 300 for write in gate.writes)

    # The lists that it begins with are behind it then.
    await home.until(leads, "the operator leads")

    def lists() -> int:
        return sum("/vectorcollections" in path and "watch=" not in path for path in gate.reads)

    begun = lists()

    async def looked() -> bool:
        return lists() >= begun + times

    await home.until(looked, f"{times} resyncs")


async def test_a_steady_state_makes_no_writes(home: Home) -> None:
    async with home.operator(RESYNC_S=1) as gate:
        await home.pool(1)
        await home.collect("films", shards=2)
        await home.collect("books", placement="shared")
        await home.model("small", dimensions=4, endpoint={"url": "http://127.0.0.1:9", "protocol": "openai"})
        await home.ready("films")
        await home.ready("books")
        # What is told last of each.
        for name in ("films", "books"):
            await home.told(name, "Ready")
        await home.told("small", "EndpointUnhealthy", "ExternalModel")
        await home.quiet(gate)
        before = len(gate.changes)
        await resyncs(home, gate, 3)
        assert list(map(str, gate.changes[before:])) == []


async def test_another_operator_writes_nothing_and_restarts_nothing(home: Home) -> None:
    async with home.operator() as gate:
        await home.collect("films")
        await home.ready("films")
        await home.told("films", "Ready")
        await home.quiet(gate)
    pod = await home.get("Pod", "vc-films-0-0")
    async with home.operator(IDENTITY="operator-1", RESYNC_S=1) as gate:
        await resyncs(home, gate, 3)
        assert list(map(str, gate.changes)) == []
    assert (await home.get("Pod", "vc-films-0-0"))["metadata"]["uid"] == pod["metadata"]["uid"]


async def test_a_new_shard_image_renews_the_pods(home: Home) -> None:
    async with home.operator() as gate:
        await home.collect("films")
        await home.ready("films")
        await home.told("films", "Ready")
        await home.quiet(gate)
    async with home.operator(SHARD_IMAGE="localhost/server:2"):

        async def renewed() -> bool:
            pod = await home.find("Pod", "vc-films-0-0")
            return pod is not None and pod["spec"]["containers"][0]["image"] == "localhost/server:2"

        await home.until(renewed, "the pod runs the new image")
        await home.ready("films")


async def test_labels_and_hands_of_others_are_left_alone(home: Home) -> None:
    async with home.operator(RESYNC_S=1) as gate:
        await home.collect("films")
        await home.ready("films")
        await home.told("films", "Ready")
        await home.quiet(gate)
        patch = {"metadata": {"labels": {"team": "cinema"}, "annotations": {"note": "mine"}}}
        await home.api.merge("StatefulSet", "vc-films-0", patch, home.namespace)
        await home.api.merge("VectorCollection", "films", patch, home.namespace)
        before = len(gate.changes)
        await resyncs(home, gate, 3)
        assert list(map(str, gate.changes[before:])) == []
        child = await home.get("StatefulSet", "vc-films-0")
        assert child["metadata"]["labels"]["team"] == "cinema"
