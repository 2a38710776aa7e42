"""The cluster that these tests run against, and a namespace in it for each test.

HANAX_TEST_KUBECONFIG   a control plane without nodes of its own
KUBEBUILDER_ASSETS      a folder with etcd and kube-apiserver, and perhaps kube-controller-manager
neither                 the emulated API server

HANAX_TEST_SCALE: how many collections test_many makes.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.operator.api import Api, Refused
from tests.operator.clusters import Cluster, ClusterThread
from tests.operator.homes import Home
from tests.operator.standins.informers import TEST_NAMESPACES

# Fixtures: pytest finds them here by name.
from tests.operator.widgets import kind, widgets  # noqa: F401

# The chart's, as the operator knows them by default.
ACCOUNTS = ("hana-x-vector-shard", "hana-x-vector-embedder")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    thread = ClusterThread(tmp_path_factory.mktemp("cluster"))
    found = thread.start()
    yield found
    thread.stop()


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    async with Api(cluster.access) as found:
        yield found


@pytest.fixture
async def namespace(api: Api) -> AsyncIterator[str]:
    async with new_namespace(api) as name:
        yield name


@asynccontextmanager
async def new_namespace(api: Api) -> AsyncIterator[str]:
    name = f"{TEST_NAMESPACES}{secrets.token_hex(4)}"
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for account in ACCOUNTS:
        # Where the API server minds accounts, pods need theirs.
        await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, name)
    try:
        yield name
    finally:
        for kind in ("VectorCollection", "ExternalModel"):
            for obj in await api.list(kind, name):
                # No operator is left to take its finalizer off.
                with suppress(Refused):
                    await api.merge(kind, obj["metadata"]["name"], {"metadata": {"finalizers": None}}, name)
        await api.delete("Namespace", name)


@pytest.fixture
def new_home(cluster: Cluster, api: Api, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[Home]]:
    """Homes for tests that need more than one."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Home]:
        async with new_namespace(api) as name:
            yield Home(cluster, api, name, tmp_path)

    return make


@pytest.fixture
def home(cluster: Cluster, api: Api, namespace: str, tmp_path: Path) -> Iterator[Home]:
    before = len(cluster.standins.failures)
    yield Home(cluster, api, namespace, tmp_path)
    assert cluster.standins.failures[before:] == []
