"""A model's life: served here, or tried where it is served elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from hanax.core.resources.names import FIELD_MANAGER, MODEL_LABEL
from tests.operator.gate import Write
from tests.operator.homes import Home, condition_of

Obj = dict[str, Any]
GPU = "nvidia.com/gpu"


@dataclass
class Elsewhere:
    """A model's server; `status` is what it answers to each request."""

    url: str = ""
    status: int = 200

    async def answer(self, _: web.Request) -> web.Response:
        return web.Response(status=self.status)


@asynccontextmanager
async def running() -> AsyncIterator[Elsewhere]:
    found = Elsewhere()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    async with running() as found:
        yield found


async def test_a_served_model_gets_pods_an_address_and_an_autoscaler(home: Home) -> None:
    async with home.operator() as gate:
        scaling = {"min": 2, "max": 4, "targetQueue": 16}
        await home.model("small", dimensions=4, serve={"model": "mini", "autoscaling": scaling})
        await home.ready("small", "ExternalModel")

        async def all_serve() -> bool:
            status = (await home.get("ExternalModel", "small"))["status"]
            return (status["replicas"], status["readyReplicas"]) == (2, 2)

        await home.until(all_serve, "both pods serve")
        scaler = (await home.get("HorizontalPodAutoscaler", "xm-small"))["spec"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
        assert scaler["metrics"][0]["pods"]["target"]["averageValue"] == "16"
        assert (await home.get("Service", "xm-small"))["spec"]["clusterIP"] == "None"
        assert (await home.get("PodDisruptionBudget", "xm-small"))["spec"]["maxUnavailable"] == 1

        async def at_its_pods() -> bool:
            route = (await home.table()).model_by_name.get("small")
            ready = await ready_addresses(home)
            return route is not None and bool(ready) and route.addresses == ready

        await home.until(at_its_pods, "the table names the pods that are ready")
        # The number of pods is the autoscaler's.
        await scale(home, 3)
        await home.quiet(gate)
        assert await pods_of(home) == 3
        await home.api.delete("ExternalModel", "small", home.namespace)
        for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
            await home.gone(kind, "xm-small")

        async def unrouted() -> bool:
            return "small" not in (await home.table()).model_by_name

        await home.until(unrouted, "no gateway asks it any more")


async def test_a_scale_that_the_operator_has_not_seen_survives_what_it_writes(home: Home) -> None:
    """Whatever it writes to the Deployment, and whoever had the say on the number of pods before."""
    async with home.operator() as gate:
        await home.model("small", dimensions=4, serve={"model": "mini", "replicas": 2})
        await home.ready("small", "ExternalModel")
        await home.quiet(gate)
        gate.before(applies_deployment, lambda: scale(home, 3))
        await home.change("small", autoscaled(1, 4), "ExternalModel")
        await home.there("HorizontalPodAutoscaler", "xm-small")
        await home.quiet(gate)
        assert (gate.is_due, await pods_of(home)) == (False, 3)
        gate.before(applies_deployment, lambda: scale(home, 4))
        await home.change("small", {"serve": {"resources": {"limits": {"memory": "2Gi"}}}}, "ExternalModel")
        await home.until(lambda: has_limits(home), "the change has reached the Deployment")
        await home.ready("small", "ExternalModel")
        assert (gate.is_due, await pods_of(home)) == (False, 4)


async def test_the_number_of_pods_changes_hands_and_stays(home: Home) -> None:
    """From a fixed number to an autoscaler, and back to another one, whoever wrote it last."""
    async with home.operator() as gate:
        await home.model("small", dimensions=4, serve={"model": "mini", "replicas": 3})
        await home.ready("small", "ExternalModel")
        await home.change("small", autoscaled(1, 4), "ExternalModel")
        await home.there("HorizontalPodAutoscaler", "xm-small")
        await home.quiet(gate)
        assert (await pods_of(home), await is_applied(home)) == (3, False)
        await home.change("small", {"serve": {"autoscaling": None, "replicas": 2}}, "ExternalModel")
        await home.gone("HorizontalPodAutoscaler", "xm-small")
        await home.ready("small", "ExternalModel")
        assert (await pods_of(home), await is_applied(home)) == (2, True)
        await scale(home, 4)
        await home.until(lambda: has_pods(home, 2), "what was changed by hand is as before")


async def test_an_autoscaler_does_not_find_a_model_without_pods(home: Home) -> None:
    """At 0 autoscalers are off."""
    async with home.operator() as gate:
        await home.model("small", dimensions=4, serve={"model": "mini", "replicas": 0})
        await home.says("small", "Ready", "False", reason="Suspended", kind="ExternalModel")
        await home.change("small", autoscaled(2, 4), "ExternalModel")
        await home.ready("small", "ExternalModel")
        assert await pods_of(home) == 2
        await home.quiet(gate)
        await scale(home, 0)
        await home.until(lambda: has_pods(home, 2), "it is served again")


def autoscaled(least: int, most: int) -> Obj:
    return {"serve": {"replicas": None, "autoscaling": {"min": least, "max": most}}}


async def scale(home: Home, replicas: int) -> None:
    """As an autoscaler does."""
    body = {"spec": {"replicas": replicas}}
    await home.api.merge("Deployment", "xm-small", body, home.namespace, "scale")


def applies_deployment(write: Write) -> bool:
    return write.method == "PATCH" and "/deployments/xm-small" in write.path


def is_ready(pod: Obj) -> bool:
    ready = condition_of(pod, "Ready")
    return ready is not None and ready["status"] == "True"


async def ready_addresses(home: Home) -> tuple[str, ...]:
    """host:port of the pods that are ready, as gateways are told of them."""
    pods = await home.api.list("Pod", home.namespace, labelSelector=f"{MODEL_LABEL}=small")
    # An emulated cluster has one address for all of them.
    addresses = {pod["status"]["podIP"] for pod in pods if is_ready(pod)}
    return tuple(f"{address}:9301" for address in sorted(addresses))


async def pods_of(home: Home) -> int:
    return int((await home.get("Deployment", "xm-small"))["spec"]["replicas"])


async def has_pods(home: Home, replicas: int) -> bool:
    return await pods_of(home) == replicas


async def is_applied(home: Home) -> bool:
    """Whether the number of pods is what the operator applies."""
    entries = (await home.get("Deployment", "xm-small"))["metadata"]["managedFields"]
    return any(
        entry["manager"] == FIELD_MANAGER and "f:replicas" in entry["fieldsV1"].get("f:spec", {})
        for entry in entries
    )


async def has_limits(home: Home) -> bool:
    pod = (await home.get("Deployment", "xm-small"))["spec"]["template"]["spec"]
    return bool(pod["containers"][0]["resources"].get("limits"))


async def test_a_model_on_gpus_waits_for_a_node_that_has_them(home: Home) -> None:
    gpu = {"count": 2, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    async with home.operator():
        await home.model("large", dimensions=4, serve={"model": "big", "gpu": gpu})

        async def lacks_gpus() -> bool:
            # A scheduler that sees the node, too, may have said first that it is none for this pod.
            found = condition_of(await home.get("ExternalModel", "large"), "Degraded")
            return found is not None and found["reason"] == "Unschedulable" and GPU in found["message"]

        await home.until(lacks_gpus, "it says that there are too few GPUs")
        assert (await home.told("large", "Unschedulable", "ExternalModel"))["type"] == "Warning"
        pod = (await home.get("Deployment", "xm-large"))["spec"]["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"][GPU] == "2"
        assert {"key": "gpu", "operator": "Exists"} in pod["tolerations"]
        home.cluster.faults.gpus[GPU] = 2
        home.cluster.look_again()
        try:
            await home.ready("large", "ExternalModel")
        finally:
            home.cluster.faults.gpus.clear()


async def test_a_model_elsewhere_is_tried_and_its_last_failure_kept(home: Home, elsewhere: Elsewhere) -> None:
    async with home.operator():
        endpoint = {"url": f"{elsewhere.url}/v1", "protocol": "openai"}
        await home.model("far", dimensions=4, endpoint=endpoint, healthCheckPath="/health")
        obj = await home.ready("far", "ExternalModel")
        told = obj["status"]["endpoints"][0]
        assert (told["url"], told["healthy"]) == (endpoint["url"], True)
        assert told["latencyMs"] > 0
        assert "lastFailure" not in obj["status"]
        elsewhere.status = 500
        obj = await home.says("far", "Ready", "False", reason="EndpointUnhealthy", kind="ExternalModel")
        assert not obj["status"]["endpoints"][0]["healthy"]
        assert (await home.told("far", "EndpointUnhealthy", "ExternalModel"))["type"] == "Warning"
        elsewhere.status = 200
        obj = await home.ready("far", "ExternalModel")
        failure = obj["status"]["lastFailure"]
        assert failure["reason"] == "EndpointUnhealthy"
        assert "500" in failure["message"]
        assert failure["time"]


async def test_every_place_of_a_model_is_tried_and_one_that_answers_is_enough(
    home: Home, elsewhere: Elsewhere
) -> None:
    async with home.operator() as gate, running() as other:
        urls = [f"{elsewhere.url}/v1", f"{other.url}/v1"]
        endpoint = {"url": urls[0], "protocol": "openai", "alternatives": [{"url": urls[1]}]}
        await home.model("far", dimensions=4, endpoint=endpoint)
        obj = await home.ready("far", "ExternalModel")
        assert [told["url"] for told in obj["status"]["endpoints"]] == urls
        elsewhere.status = 500
        obj = await home.says("far", "Degraded", "True", reason="EndpointUnhealthy", kind="ExternalModel")
        assert condition_of(obj, "Ready")["status"] == "True"  # type: ignore[index]
        message = condition_of(obj, "Degraded")["message"]  # type: ignore[index]
        assert message.startswith("1 of 2 endpoints")
        assert elsewhere.url in message
        assert other.url not in message
        assert [told["healthy"] for told in obj["status"]["endpoints"]] == [False, True]
        assert (await home.told("far", "EndpointUnhealthy", "ExternalModel"))["type"] == "Warning"
        other.status = 500
        await home.says("far", "Ready", "False", reason="EndpointUnhealthy", kind="ExternalModel")
        elsewhere.status = other.status = 200
        await home.says("far", "Degraded", "False", kind="ExternalModel")
        await home.quiet(gate)
        obj = await home.get("ExternalModel", "far")
        assert [told["healthy"] for told in obj["status"]["endpoints"]] == [True, True]


async def test_a_model_that_can_not_be_reached_is_told(home: Home, elsewhere: Elsewhere) -> None:
    async with home.operator():
        nobody = "grpc://127.0.0.1:9"
        await home.model("far", dimensions=4, endpoint={"url": nobody, "protocol": "grpc"})
        obj = await home.says("far", "Ready", "False", reason="EndpointUnhealthy", kind="ExternalModel")
        assert nobody in obj["status"]["lastFailure"]["message"]
        await home.change("far", {"endpoint": {"url": elsewhere.url, "protocol": "openai"}}, "ExternalModel")
        await home.ready("far", "ExternalModel")


async def test_a_missing_secret_is_told_by_its_name(home: Home, elsewhere: Elsewhere) -> None:
    """Within 30 s, and so is that it came."""
    endpoint = {"url": elsewhere.url, "protocol": "openai", "authSecretRef": {"name": "key", "key": "token"}}
    async with home.operator():
        await home.model("far", dimensions=4, endpoint=endpoint)
        obj = await home.says("far", "Degraded", "True", reason="SecretMissing", kind="ExternalModel")
        assert "'key'" in condition_of(obj, "Degraded")["message"]  # type: ignore[index]
        assert (await home.told("far", "SecretMissing", "ExternalModel"))["type"] == "Warning"
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}}
        await home.api.create({**secret, "data": {"token": "dA=="}}, home.namespace)
        await home.ready("far", "ExternalModel")
