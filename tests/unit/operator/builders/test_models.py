"""A served model's manifests, whole, and the routes of all models."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.model_routes import ModelRoute
from hanax_operator.build.models import children, route
from hanax_operator.objects import AUTOSCALER, CLAIM, DEPLOYMENT, DISRUPTION_BUDGET, SERVICE, ObjectKey, key
from tests.unit.operator.builders.declared import (
    RELEASE,
    built,
    golden,
    model,
    released,
    stored,
    stored_children,
)

ON_CPU: dict[str, Any] = {
    "model": "all-MiniLM-L6-v2",
    "autoscaling": {"min": 2, "max": 8, "targetQueue": 2000},
    "resources": {"requests": {"cpu": 2, "memory": "2Gi"}, "limits": {"cpu": "2500m"}},
}
ON_GPU: dict[str, Any] = {
    "model": "BAAI/bge-m3",
    "backend": "torch",
    "device": "cuda",
    "gpu": {
        "count": 2,
        "nodeSelector": {"gpu": "h100"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    },
    "cache": {"size": "50Gi", "storageClassName": "fast"},
}
ELSEWHERE: dict[str, Any] = {"url": "https://models.example/v1", "protocol": "openai"}


WORKLOAD = key(DEPLOYMENT, "xm-minilm")
CACHE = key(CLAIM, "xm-minilm-cache")


def workload(found: dict[ObjectKey, dict[str, Any] | None]) -> dict[str, Any]:
    manifest = found[WORKLOAD]
    assert manifest is not None
    return manifest


def test_a_model_on_cpus_that_scales() -> None:
    assert built(children(model(serve=ON_CPU), RELEASE, {})) == golden("model_cpu")


def test_a_model_on_gpus_with_a_cache() -> None:
    release = released(image_pull_secrets=("pull",), monitoring_labels={"team": "search"})
    assert built(children(model("bge.m3", serve=ON_GPU), release, {})) == golden("model_gpu")


@pytest.mark.parametrize(
    "declared",
    [model(endpoint=ELSEWHERE), model(serve=ON_GPU, deleting=True)],
    ids=["elsewhere", "deleting"],
)
def test_what_is_not_served_here_is_built_of_nothing(declared: Any) -> None:
    assert children(declared, RELEASE, {}) == dict.fromkeys(
        (
            CACHE,
            key(SERVICE, "xm-minilm"),
            WORKLOAD,
            key(AUTOSCALER, "xm-minilm"),
            key(DISRUPTION_BUDGET, "xm-minilm"),
        )
    )


@pytest.mark.parametrize(
    ("serve", "kinds"),
    [
        ({}, {"Deployment", "Service"}),
        ({"replicas": 0}, {"Deployment", "Service"}),
        ({"replicas": 2}, {"Deployment", "Service", "PodDisruptionBudget"}),
        ({"cache": {}}, {"Deployment", "Service", "PersistentVolumeClaim"}),
        ({"autoscaling": {"max": 1}}, {"Deployment", "Service", "HorizontalPodAutoscaler"}),
        (
            {"autoscaling": {"max": 2}},
            {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"},
        ),
    ],
)
def test_which_objects_a_served_model_has(serve: dict[str, Any], kinds: set[str]) -> None:
    found = children(model(serve={"model": "m", **serve}), RELEASE, {})
    assert {manifest["kind"] for manifest in built(found)} == kinds


def test_with_an_autoscaler_the_number_of_pods_is_not_applied() -> None:
    declared = model(serve=ON_CPU)
    live = stored_children(children(declared, RELEASE, {}))
    live[WORKLOAD]["spec"]["replicas"] = 5
    for existing in ({}, live):
        assert "replicas" not in workload(children(declared, RELEASE, existing))["spec"]


def test_a_fixed_number_of_pods_is_put_right_again() -> None:
    declared = model(serve={"model": "m", "replicas": 3})
    live = stored_children(children(declared, RELEASE, {}))
    live[WORKLOAD]["spec"]["replicas"] = 7
    assert workload(children(declared, RELEASE, live))["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    ("serve", "surge"),
    [
        ({}, 1),
        ({"gpu": {}}, 0),  # no node may have one more free
        ({"cache": {}}, 0),  # the volume is mounted by the pod that is to be replaced
        ({"cache": {}, "replicas": 2}, 1),  # the volume can be mounted by many
    ],
)
def test_a_rollout_never_waits_for_what_it_replaces(serve: dict[str, Any], surge: int) -> None:
    strategy = workload(children(model(serve={"model": "m", **serve}), RELEASE, {}))["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": 1 - surge}


@pytest.mark.parametrize(
    ("serve", "by_cpu"),
    [
        ({}, False),
        ({"resources": {"requests": {"memory": "1Gi"}}}, False),
        ({"resources": {"requests": {"cpu": 1}}}, True),
        ({"resources": {"limits": {"cpu": 1}}}, True),
        ({"resources": {"requests": {"cpu": 1}}, "gpu": {}}, False),
    ],
)
def test_when_a_model_scales_by_the_cpu_too(serve: dict[str, Any], by_cpu: bool) -> None:
    """A share of what is asked for; of nothing there is none, and a GPU's work is not seen there."""
    found = children(model(serve={"model": "m", "autoscaling": {"max": 3}, **serve}), RELEASE, {})
    manifest = found[key(AUTOSCALER, "xm-minilm")]
    assert manifest is not None
    kinds = [metric["type"] for metric in manifest["spec"]["metrics"]]
    assert kinds == ["Pods", *(["Resource"] if by_cpu else [])]


@pytest.mark.parametrize(
    ("live_size", "asked", "size"),
    [("10Gi", "20Gi", "20Gi"), ("50Gi", "20Gi", "50Gi"), ("20Gi", "20480Mi", "20Gi")],
)
def test_a_cache_only_grows_and_keeps_its_class_and_access(live_size: str, asked: str, size: str) -> None:
    before = model(serve={"model": "m", "cache": {"size": live_size, "storageClassName": "slow"}})
    live = stored_children(children(before, RELEASE, {}))
    after = model(serve={"model": "m", "replicas": 3, "cache": {"size": asked, "storageClassName": "fast"}})
    manifest = children(after, RELEASE, live)[CACHE]
    assert manifest is not None
    assert manifest["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "slow",
        "resources": {"requests": {"storage": size}},
    }


def test_applying_what_is_there_changes_nothing() -> None:
    for serve in (ON_CPU, ON_GPU):
        first = children(model(serve=serve), RELEASE, {})
        live = {each: stored(manifest) for each, manifest in first.items() if manifest is not None}
        assert children(model(serve=serve), RELEASE, live) == first


def test_a_long_name_fits() -> None:
    found = built(children(model("m" * 63, serve={"model": "m", "cache": {}}), RELEASE, {}))
    for manifest in found:
        assert len(manifest["metadata"]["name"]) <= 69
    assert all(len(each["metadata"]["name"]) <= 63 for each in found if each["kind"] == "Service")


# --- routes ---------------------------------------------------------------------------------


def test_the_route_of_a_served_model() -> None:
    declared = model(
        serve=ON_CPU,
        maxTokens=512,
        pattern="hybrid",
        timeoutSeconds=20,
        retryAttempts=2,
        weight=2.5,
        loadBalancing="health_based",
    )
    found = route(declared, RELEASE)
    assert found is not None
    assert found == ModelRoute(
        name="minilm",
        dimension=384,
        max_tokens=512,
        endpoints=("xm-minilm.search.svc.cluster.local:9301",),
        protocol="grpc",
        pattern="hybrid",
        timeout_s=20,
        max_attempts=None,
        weight=2.5,
        load_balancing="health_based",
        version=found.version,
    )


@pytest.mark.parametrize(
    ("protocol", "url", "address"),
    [
        ("grpc", "grpc://embedder.example:9301", "embedder.example:9301"),
        # Never without TLS where TLS was asked for.
        ("grpc", "grpcs://embedder.example:443", "grpcs://embedder.example:443"),
        ("openai", "https://models.example/v1", "https://models.example/v1"),
        ("tei", "http://tei.search:8080", "http://tei.search:8080"),
    ],
)
def test_the_address_of_a_model_elsewhere(protocol: str, url: str, address: str) -> None:
    found = route(model(endpoint={"url": url, "protocol": protocol}), RELEASE)
    assert found is not None
    assert (found.protocol, found.addresses) == (protocol, (address,))


def test_a_model_without_pods_or_being_deleted_has_no_route() -> None:
    assert route(model(serve={"model": "m", "replicas": 0}), RELEASE) is None
    assert route(model(endpoint=ELSEWHERE, deleting=True), RELEASE) is None
    assert route(model(serve=ON_CPU, deleting=True), RELEASE) is None
