"""What an upgrade of the chart takes over from the cluster: sizes of volumes, certificates, passwords."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from functools import partial
from typing import Any

import helm_python as helm

from hanax.core.resources.names import STORAGE_SIZE
from tests.contract.chart.rendering import CHART, find, manifests_of
from tests.operator.clusters import GROWING
from tests.operator.gate import Gate
from tests.operator.homes import POOL, RELEASE, Home
from tests.operator.kubeconfigs import kubeconfig

Obj = dict[str, Any]


async def rendered(home: Home, values: Mapping[str, Any]) -> list[Obj]:
    """As helm renders it for this cluster, without making any of it."""

    def render(url: str) -> dict[str, str]:
        with (
            helm.Config(kubeconfig_content=kubeconfig(url), namespace=home.namespace) as config,
            helm.Chart.load(CHART) as chart,
        ):
            return config.render(chart, dict(values), name=RELEASE, namespace=home.namespace, is_upgrade=True)

    async with Gate(home.cluster.access) as gate:
        files = await asyncio.to_thread(render, gate.url)
    return manifests_of({path: text for path, text in sorted(files.items()) if text.strip()})


def pool(size: str) -> Obj:
    return {"shardPool": {"replicas": 1, "storage": {"size": size, "storageClassName": GROWING}}}


def claimed(stateful_set: Obj) -> str:
    (template,) = stateful_set["spec"]["volumeClaimTemplates"]
    return str(template["spec"]["resources"]["requests"]["storage"])


async def test_a_larger_size_of_the_pool_reaches_its_volumes(home: Home) -> None:
    async def has(size: str) -> bool:
        claim = await home.find("PersistentVolumeClaim", f"data-{POOL}-0")
        status = {} if claim is None else claim.get("status", {})
        return bool(status.get("capacity", {}).get("storage") == size)

    async with home.operator():
        for size in ("1Gi", "2Gi"):
            found = find(await rendered(home, pool(size)), "StatefulSet", POOL)
            assert found["metadata"]["annotations"][STORAGE_SIZE] == size
            # The API server refuses another template.
            assert claimed(found) == "1Gi"
            await home.api.apply(found, home.namespace, manager="helm")
            await home.until(partial(has, size), f"the volume has {size}")


async def test_what_was_generated_is_kept(home: Home) -> None:
    """A new password would lock everybody out of a database that knows the old one."""
    values = {server: {"enabled": True} for server in ("redis", "postgresql", "nats")}
    names = [f"{RELEASE}-{part}" for part in (*values, "operator-webhook")]
    before = await rendered(home, values)
    anew = await rendered(home, values)
    for name in names:
        made = find(before, "Secret", name)
        assert find(anew, "Secret", name)["data"] != made["data"]
        await home.api.create(made, home.namespace)
    after = await rendered(home, values)
    assert [find(after, "Secret", name)["data"] for name in names] == [
        find(before, "Secret", name)["data"] for name in names
    ]


async def test_the_url_of_a_server_holds_its_password_and_its_name(home: Home) -> None:
    manifests = await rendered(
        home, {server: {"enabled": True} for server in ("redis", "postgresql", "nats")}
    )
    for server, url in {
        "redis": "redis://:{password}@{host}:6379/0",
        "postgresql": "postgresql://hanax:{password}@{host}:5432/hanax",
        "nats": "nats://{password}@{host}:4222",
    }.items():
        data = find(manifests, "Secret", f"{RELEASE}-{server}")["data"]
        password = b64decode(data["password"]).decode()
        assert len(password) == 32
        assert password.isalnum()
        host = f"{RELEASE}-{server}.{home.namespace}.svc.cluster.local"
        assert b64decode(data["url"]).decode() == url.format(password=password, host=host)
