"""One helm release, in a namespace of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import helm_python as helm
import yaml

from hxp_vector_client import VectorClient
from tests.e2e.clusters import ROOT, Cluster
from tests.e2e.gateway import Gateway
from tests.e2e.kubectl import Kubectl, Manifest, Refused, condition_of, is_ready, name_of
from tests.e2e.waiting import until

NAME: Final = "vectors"
POOL_PODS: Final = 2
POOL_CLAIMS: Final = frozenset(f"data-{NAME}-pool-{n}" for n in range(POOL_PODS))

_CHART: Final = ROOT / "charts" / "hana-x-vector"
_INSTANCE: Final = f"app.kubernetes.io/instance={NAME}"
_AS_THEY_COME: Final[Mapping[str, str]] = {}
_POOL_SIZE: Final = "1Gi"


@dataclass(frozen=True)
class Release:
    cluster: Cluster
    kubectl: Kubectl
    helm: helm.Config

    def install(self) -> None:
        values = self._values(_AS_THEY_COME, _AS_THEY_COME, _POOL_SIZE)
        self.helm.install(str(_CHART), NAME, values, namespace=self.kubectl.namespace, create_namespace=True)

    def upgrade(
        self,
        *,
        gateway: Mapping[str, str] = _AS_THEY_COME,
        operator: Mapping[str, str] = _AS_THEY_COME,
        pool_size: str = _POOL_SIZE,
        more: Mapping[str, Any] = _AS_THEY_COME,
    ) -> None:
        """With settings of these processes by their names, and `more` values; none of those from before."""
        values = {**self._values(gateway, operator, pool_size), **more}
        self.helm.upgrade(str(_CHART), NAME, values, namespace=self.kubectl.namespace)

    def uninstall(self) -> None:
        self.helm.uninstall(NAME)

    def manifests(self) -> list[Manifest]:
        """What helm made."""
        documents = yaml.safe_load_all(self.helm.status(NAME)["manifest"])
        return [document for document in documents if document]

    def pods(self, component: str) -> list[Manifest]:
        """gateway, operator, batch-processor or shard; of shards those of the pool and of collections."""
        label = f"app.kubernetes.io/component={component}"
        selector = f"app.kubernetes.io/name=hana-x-vector,{label}"
        return [
            pod
            for pod in self.kubectl.list_of("pods", selector)
            if "deletionTimestamp" not in pod["metadata"]
        ]

    def is_settled(self) -> bool:
        """Every pod of the release is ready, of its newest template, and none is left of an older one."""
        wanted = {name_of(made) for made in self.manifests() if made["kind"] in ("Deployment", "StatefulSet")}
        workloads = self.kubectl.list_of("deployments,statefulsets", _INSTANCE)
        return {name_of(found) for found in workloads} == wanted and all(map(_is_rolled_out, workloads))

    def leader(self) -> str:
        """The pod of the operator that acts; empty while there is none."""
        lease = self.kubectl.find("lease", f"{NAME}-operator")
        return "" if lease is None else str(lease["spec"].get("holderIdentity") or "")

    @contextmanager
    def gateway(self, key: str = "") -> Iterator[Gateway]:
        with (
            self.kubectl.forward(f"service/{NAME}-gateway", 80) as address,
            Gateway(address, key) as gateway,
        ):
            yield gateway

    @contextmanager
    def client(self, transport: Literal["rest", "graphql", "grpc"], key: str) -> Iterator[VectorClient]:
        """Over a port of the gateway's Service."""
        with self.kubectl.forward(f"service/{NAME}-gateway", 8081 if transport == "grpc" else 80) as address:
            url = address if transport == "grpc" else f"http://{address}"
            with VectorClient(url, api_key=key or None, transport=transport) as client:
                yield client

    def _values(
        self, gateway: Mapping[str, str], operator: Mapping[str, str], pool_size: str
    ) -> dict[str, Any]:
        # A node of two processors has room for all of it.
        small = {"requests": {"cpu": "50m", "memory": "64Mi"}}
        return {
            "images": {
                "server": image_values(self.cluster.server_image),
                # A model that is not a real one needs no torch.
                "embedder": image_values(self.cluster.embedder_image or self.cluster.server_image),
            },
            "gateway": {"replicas": 1, "resources": small, "settings": dict(gateway)},
            "operator": {"replicas": 2, "resources": small, "settings": dict(operator)},
            "shardPool": {"replicas": POOL_PODS, "storage": {"size": pool_size}, "resources": small},
            "shards": {"defaultStorage": {"size": "1Gi"}},
        }


@contextmanager
def open_release(cluster: Cluster) -> Iterator[Release]:
    """Installed, though not ready. Removed at the end with all that it left."""
    namespace = f"hana-x-vector-e2e-{secrets.token_hex(3)}"
    kubectl = Kubectl(cluster.kubeconfig, namespace)
    with helm.Config(kubeconfig_path=cluster.kubeconfig, namespace=namespace) as config:
        release = Release(cluster, kubectl, config)
        try:
            release.install()
            yield release
        finally:
            config.uninstall(NAME, ignore_not_found=True)
            _remove(kubectl)


def _remove(kubectl: Kubectl) -> None:
    """The namespace. No operator is left to take its finalizers off."""
    for kind in ("vectorcollection", "externalmodel"):
        with suppress(Refused):
            for name in kubectl.names(kind):
                kubectl.merge(kind, name, {"metadata": {"finalizers": None}})
    with suppress(Refused):
        kubectl.delete("namespace", kubectl.namespace)


def _is_rolled_out(workload: Manifest) -> bool:
    wanted = workload["spec"]["replicas"]
    status = workload.get("status", {})
    counts = {status.get(count, 0) for count in ("replicas", "readyReplicas", "updatedReplicas")}
    return bool(status.get("observedGeneration") == workload["metadata"]["generation"] and counts == {wanted})


def image_values(name: str) -> dict[str, str]:
    """repository and tag or digest, as the chart takes them."""
    repository, _, digest = name.partition("@")
    if digest:
        return {"repository": repository, "digest": digest}
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return {"repository": name, "tag": "latest"}
    return {"repository": repository, "tag": tag}


def until_ready(kubectl: Kubectl, kind: str, name: str, within_s: float = 180.0) -> Manifest:
    """Ready at its generation of now."""
    last: list[Manifest] = []

    def ready() -> bool:
        last[:] = [kubectl.get(kind, name)]
        return is_ready(last[0])

    try:
        until(ready, f"{kind} {name} is Ready", within_s)
    except AssertionError as late:
        raise AssertionError(f"{late}: {condition_of(last[0], 'Ready')}") from None
    return last[0]
