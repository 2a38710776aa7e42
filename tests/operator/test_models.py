"""A model's life: served here, or tried where it is served elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

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


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    found = Elsewhere()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_a_served_model_gets_pods_an_address_and_an_autoscaler(home: Home) -> None:
    async with home.operator() as gate:
        scaling = {"min": 2, "max": 4, "targetQueue": 16}
        await home.model("small", dimensions=4, serve={"model": "mini", "autoscaling": scaling})
        obj = await home.ready("small", "ExternalModel")
        assert (obj["status"]["replicas"], obj["status"]["readyReplicas"]) == (2, 2)
        scaler = (await home.get("HorizontalPodAutoscaler", "xm-small"))["spec"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
        assert scaler["metrics"][0]["pods"]["target"]["averageValue"] == "16"
        assert (await home.get("Service", "xm-small"))["spec"]["clusterIP"] == "None"
        assert (await home.get("PodDisruptionBudget", "xm-small"))["spec"]["maxUnavailable"] == 1
        route = (await home.table()).model_by_name["small"]
        assert route.addresses == (f"xm-small.{home.namespace}.svc.cluster.local:9301",)
        # The number of pods is the autoscaler's.
        await home.api.merge("Deployment", "xm-small", {"spec": {"replicas": 3}}, home.namespace)
        await home.quiet(gate)
        assert (await home.get("Deployment", "xm-small"))["spec"]["replicas"] == 3
        await home.api.delete("ExternalModel", "small", home.namespace)
        for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
            await home.gone(kind, "xm-small")

        async def unrouted() -> bool:
            return "small" not in (await home.table()).model_by_name

        await home.until(unrouted, "no gateway asks it any more")


async def test_a_model_on_gpus_waits_for_a_node_that_has_them(home: Home) -> None:
    gpu = {"count": 2, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    async with home.operator():
        await home.model("large", dimensions=4, serve={"model": "big", "gpu": gpu})
        obj = await home.says("large", "Degraded", "True", reason="Unschedulable", kind="ExternalModel")
        assert GPU in condition_of(obj, "Degraded")["message"]  # type: ignore[index]
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
