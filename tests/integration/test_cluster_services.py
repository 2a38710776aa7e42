"""The gateway and an index-shard as they run in a cluster: over the Kubernetes API, without a shared disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from hanax.core.catalog import CatalogEntry
from hanax.core.model_routes import ModelRoute
from hanax.core.node_state import NodeState, ReplicaState
from hanax.core.planning import Observation, plan
from hanax.core.resources.collections import Collection
from hanax.core.routing import NodeRoute, RoutingTable
from hanax.core.routing_config_map import aliases_from_config_map, to_config_map_data
from tests.integration.gateway.stack import GatewayProcess
from tests.integration.index_shard_process import IndexShardProcess
from tests.integration.waiting import wait_until
from tests.unit.runtime.cluster.api_server import ApiServer

ROUTING, ALIASES = "release-routing", "release-aliases"
KIND = "vectorcollections"
ELSEWHERE = ModelRoute(
    name="elsewhere",
    dimension=3,
    max_tokens=8,
    # Nobody listens there.
    endpoints=("http://127.0.0.1:1/v1",),
    protocol="openai",
    max_attempts=1,
    external=True,
)


class Operator:
    """What the operator makes of custom resources, as far as these services see it."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self.nodes: tuple[NodeRoute, ...] = ()
        self.table = RoutingTable()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator")
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            if self.nodes:
                self._reconcile()

    def _reconcile(self) -> None:
        declared = [Collection.parse(obj) for obj in self._api.all(KIND)]
        entries = tuple(
            CatalogEntry(
                uid=one.uid,
                generation=one.generation,
                created_at_us=one.created_at_us,
                spec=one.spec.collection_spec(one.name),
                suspended=one.spec.suspend,
            )
            for one in declared
        )
        aliases = aliases_from_config_map(self._api.get("configmaps", ALIASES) or {})
        table = plan(self.table, Observation(entries, (), self.nodes, (ELSEWHERE,), aliases))
        if table is not None:
            data, binary = to_config_map_data(table)
            self._api.put("configmaps", ROUTING, data=data, binaryData=binary)
            self.table = table


class Cluster:
    def __init__(self, api: ApiServer, operator: Operator, shard: IndexShardProcess, gateway: GatewayProcess):
        self.api = api
        self.operator = operator
        self.shard = shard
        self.client = httpx.Client(base_url=gateway.url, timeout=30.0)

    def data(self, answer: httpx.Response) -> Any:
        assert answer.is_success, answer.json()
        return answer.json()["data"]

    def refused(self, answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["error"]["code"]

    def post(self, path: str, body: object) -> httpx.Response:
        return self.client.post(f"/api/v1/{path}", json=body)

    def count(self, name: str) -> int:
        return int(self.data(self.post("vectors/count", {"collection": name}))["count"])

    def insert(self, name: str, ids: range) -> None:
        points = [{"id": number, "vector": [number, 1, 0]} for number in ids]
        self.data(self.post("vectors/insert", {"collection": name, "vectors": points}))

    def suspend(self, name: str, suspended: bool) -> None:
        obj = self.api.get(KIND, name)
        assert obj is not None
        self.api.put(KIND, name, spec={**obj["spec"], "suspend": suspended}, metadata=obj["metadata"])

    def told(self, name: str, **expected: object) -> ReplicaState | None:
        """What the node tells of the collection's shard, once that is as expected."""
        for replica in NodeState.parse(self.shard.page("/state").encode()).replicas:
            if replica.collection == name and expected.items() <= replica.model_dump().items():
                return replica
        return None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as opened, pytest.MonkeyPatch.context() as environment:
        api = ApiServer()
        opened.callback(api.close)
        api.put("configmaps", ALIASES)
        environment.setenv("KUBECONFIG", str(api.kubeconfig(folder / "kubeconfig")))
        environment.setenv("HANAX_ROUTING_CONFIGMAP", ROUTING)
        operator = Operator(api)
        opened.callback(operator.close)
        shard = IndexShardProcess(folder, folder / "none.json", "pool-0")
        opened.callback(shard.__exit__, None, None, None)
        shard.start()
        gateway = GatewayProcess(folder, catalog="cluster", aliases_configmap=ALIASES)
        opened.callback(gateway.close)
        cluster = Cluster(api, operator, shard, gateway)
        opened.callback(cluster.client.close)
        serving = wait_until("the shard serves", shard.serving)
        # Whoever starts first waits for the table.
        ready = f"http://127.0.0.1:{serving['metrics_port']}/ready"
        assert httpx.get(ready).status_code == 503
        assert cluster.client.get("/ready").status_code == 503
        operator.nodes = (
            NodeRoute(name="pool-0", address=f"127.0.0.1:{serving['port']}"),
            # Of a pod that is away.
            NodeRoute(name="pool-1", address="127.0.0.1:1"),
        )
        shard.connect()
        wait_until("the gateway is ready", lambda: cluster.client.get("/ready").is_success)
        # From here on everything goes to the one that is there.
        operator.nodes = operator.nodes[:1]
        yield cluster


def test_a_collection_made_by_the_api_is_a_resource_that_serves(cluster: Cluster) -> None:
    made = cluster.data(cluster.post("collections", {"name": "docs", "dimension": 3, "metric": "euclidean"}))
    assert made["state"] == "ready"
    obj = cluster.api.get(KIND, "docs")
    assert obj is not None
    assert (obj["metadata"]["uid"], obj["spec"]["placement"]) == (made["uid"], "shared")
    cluster.insert("docs", range(10))
    assert cluster.count("docs") == 10
    told = wait_until("the shard tells of the points", lambda: cluster.told("docs", points=10))
    assert (told.state, told.points, told.uid, told.generation) == ("open", 10, made["uid"], 1)
    again = cluster.post("collections", {"name": "docs", "dimension": 3})
    assert cluster.refused(again) == (409, "collection_exists")


def test_a_change_is_declared_and_in_force_on_return(cluster: Cluster) -> None:
    cluster.data(cluster.post("collections", {"name": "changing", "dimension": 3}))
    changed = cluster.data(cluster.client.patch("/api/v1/collections/changing", json={"target_recall": 0.8}))
    assert changed["target_recall"] == 0.8
    obj = cluster.api.get(KIND, "changing")
    assert obj is not None
    assert obj["spec"]["targetRecall"] == 0.8
    assert obj["metadata"]["generation"] == 2
    wait_until("the shard tells of it", lambda: cluster.told("changing", generation=2))


def test_aliases_switch_through_the_config_map(cluster: Cluster) -> None:
    for name in ("first", "second"):
        cluster.data(cluster.post("collections", {"name": name, "dimension": 3}))
    cluster.insert("second", range(3))
    for target, expected in (("first", 0), ("second", 3)):
        cluster.data(cluster.client.put("/api/v1/aliases/live", json={"collection": target}))
        assert cluster.count("live") == expected
    refused = cluster.client.delete("/api/v1/collections/second")
    assert cluster.refused(refused) == (409, "collection_has_aliases")


def test_a_deleted_collection_is_gone_with_its_data(cluster: Cluster) -> None:
    cluster.data(cluster.post("collections", {"name": "brief", "dimension": 3}))
    uid = cluster.data(cluster.client.get("/api/v1/collections/brief"))["uid"]
    folder = cluster.shard.data / "collections" / f"brief-{uid}"
    assert folder.exists()
    cluster.data(cluster.client.delete("/api/v1/collections/brief"))
    assert cluster.api.get(KIND, "brief") is None
    wait_until("the data is gone", lambda: not folder.exists())


def test_a_suspended_collection_says_so_and_comes_back_whole(cluster: Cluster) -> None:
    cluster.data(cluster.post("collections", {"name": "resting", "dimension": 3}))
    cluster.insert("resting", range(5))
    cluster.suspend("resting", True)

    def described() -> Any:
        return cluster.data(cluster.client.get("/api/v1/collections/resting"))

    wait_until("it rests", lambda: described()["state"] == "suspended")
    for answer in (
        cluster.post("vectors/count", {"collection": "resting"}),
        cluster.post("vectors/search", {"collection": "resting", "vector": [1, 0, 0]}),
        cluster.post(
            "vectors/insert", {"collection": "resting", "vectors": [{"id": 1, "vector": [1, 0, 0]}]}
        ),
    ):
        assert cluster.refused(answer) == (409, "collection_suspended")
        assert "'resting' is suspended" in answer.json()["error"]["message"]
    listed = cluster.data(cluster.client.get("/api/v1/collections"))["collections"]
    assert {one["name"]: one["state"] for one in listed}["resting"] == "suspended"
    changed = cluster.client.patch("/api/v1/collections/resting", json={"target_recall": 0.8})
    assert cluster.data(changed)["state"] == "suspended", "it may be changed while it rests"
    wait_until("it is closed", lambda: cluster.told("resting") is None)
    assert cluster.client.get("/ready").is_success
    cluster.suspend("resting", False)
    wait_until("it serves", lambda: described()["state"] == "ready")
    assert cluster.count("resting") == 5


def test_a_model_that_others_serve_is_asked_where_it_is(cluster: Cluster) -> None:
    answer = cluster.post("embeddings/generate", {"text": "a", "model": "elsewhere"})
    assert cluster.refused(answer) == (503, "unavailable")
    assert "'elsewhere'" in answer.json()["error"]["message"]


def test_what_the_cluster_refuses_is_told(cluster: Cluster) -> None:
    denied = 'admission webhook "w" denied the request: spec.embeddingModel: no model of that name'
    with cluster.api.refuses(403, "Forbidden", denied):
        answer = cluster.post("collections", {"name": "wrong", "dimension": 3})
    assert cluster.refused(answer) == (422, "invalid_argument")
    assert answer.json()["error"]["message"] == "spec.embeddingModel: no model of that name"
    with cluster.api.refuses(500):
        assert cluster.refused(cluster.client.get("/api/v1/collections")) == (503, "unavailable")


def test_everything_is_served_while_the_api_server_is_away(cluster: Cluster) -> None:
    cluster.data(cluster.post("collections", {"name": "steady", "dimension": 3}))
    with cluster.api.refuses(503):
        cluster.api.end_watches()
        before = cluster.api.refused
        wait_until("both have noticed", lambda: cluster.api.refused >= before + 4)
        cluster.insert("steady", range(4))
        assert cluster.count("steady") == 4
    cluster.data(cluster.post("collections", {"name": "after", "dimension": 3}))
