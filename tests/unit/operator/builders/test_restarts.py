"""What restarts a pod, and what does not: every field that a spec or the release has, in two tables.

A field that is in neither table fails a test, so that whoever adds one says which it is.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from hanax.core.resources.collections import Storage, VectorCollectionSpec
from hanax.core.resources.models import ExternalModelSpec
from hanax.core.resources.serving import Serve
from hanax_operator.build import collections, models
from hanax_operator.build.restarts import restart_reasons
from hanax_operator.objects import DEPLOYMENT, STATEFUL_SET, key
from hanax_operator.release import Release
from tests.unit.operator.builders.declared import RELEASE, collection, model, released, stored_children

SHARD = key(STATEFUL_SET, "vc-docs-0")
EMBEDDER = key(DEPLOYMENT, "xm-minilm")
SERVE: dict[str, Any] = {"model": "all-MiniLM-L6-v2"}

NOTHING: tuple[str, ...] = ()
NODES = ({"key": "disk", "operator": "In", "values": ["nvme"]},)

# Field of a VectorCollection's spec, another value of it, and what that changes in the pod.
OF_A_COLLECTION: list[tuple[str, Any, tuple[str, ...]]] = [
    ("metric", "dot", NOTHING),
    ("dimensions", 768, NOTHING),
    ("index", {"type": "hnsw"}, NOTHING),
    ("quantisation", {"type": "int8"}, NOTHING),
    ("targetRecall", 0.99, NOTHING),
    ("shards", 4, NOTHING),
    ("replicas", 2, NOTHING),
    ("embeddingModel", "minilm", NOTHING),
    ("payloadIndexes", {"title": "text"}, NOTHING),
    ("ttlSeconds", 60, NOTHING),
    ("storage.size", "50Gi", NOTHING),
    ("storage.storageClassName", "fast", NOTHING),
    ("deletionPolicy", "Delete", NOTHING),
    ("suspend", True, NOTHING),  # its pods end; none of them starts anew
    ("paused", True, NOTHING),
    (
        "resources",
        {"limits": {"memory": "8Gi"}},
        ("spec.containers.shard.resources", "spec.containers.shard.env.HANAX_INDEX_MEMORY_BYTES"),
    ),
    ("resources", {"requests": {"cpu": "250m"}}, ("spec.containers.shard.resources",)),
    ("nodeSelector", {"disk": "nvme"}, ("spec.nodeSelector",)),
    ("tolerations", [{"key": "search", "operator": "Exists"}], ("spec.tolerations",)),
    (
        "affinity",
        {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": list(NODES)}]
                }
            }
        },
        ("spec.affinity",),
    ),
    ("topologySpread", [{"topologyKey": "zone"}], ("spec.topologySpreadConstraints",)),
    ("gpu", {"count": 1}, ("spec.containers.shard.resources",)),
]

OF_A_MODEL: list[tuple[str, Any, tuple[str, ...]]] = [
    ("dimensions", 768, NOTHING),
    ("pattern", "hybrid", NOTHING),
    ("maxTokens", 256, NOTHING),
    ("timeoutSeconds", 5, NOTHING),
    ("retryAttempts", 0, NOTHING),
    ("weight", 2.0, NOTHING),
    ("healthCheckPath", "/healthz", NOTHING),
    ("loadBalancing", "weighted", NOTHING),
    ("circuitBreaker", {"failures": 2}, NOTHING),
    ("rateLimit", {"requestsPerSecond": 5}, NOTHING),
    ("maxBatchTexts", 16, NOTHING),
    ("hedgeAfterMs", 50, NOTHING),
    ("serve.model", "BAAI/bge-m3", ("spec.containers.embedder.env.HANAX_EMBEDDER_MODEL.value",)),
    ("serve.backend", "hash", ("spec.containers.embedder.env.HANAX_EMBEDDER_BACKEND.value",)),
    ("serve.precision", "int8", ("spec.containers.embedder.env.HANAX_EMBEDDER_PRECISION.value",)),
    ("serve.device", "cpu", NOTHING),
    ("serve.gpu", {"count": 2}, ("spec.containers.embedder.resources",)),
    ("serve.replicas", 3, NOTHING),
    ("serve.autoscaling", {"max": 3}, NOTHING),
    (
        "serve.cache",
        {"size": "5Gi"},
        ("spec.volumes.cache.persistentVolumeClaim",),
    ),
    ("serve.resources", {"requests": {"memory": "1Gi"}}, ("spec.containers.embedder.resources",)),
    (
        "serve.resources",
        {"limits": {"cpu": 2}},
        ("spec.containers.embedder.resources", "spec.containers.embedder.env.HANAX_EMBEDDER_THREADS"),
    ),
]

# Setting of the release, another value, what that changes in a shard's pod and in an embedder's.
OF_THE_RELEASE: list[tuple[str, Any, tuple[str, ...], tuple[str, ...]]] = [
    ("shard_image", "server:2", ("spec.containers.shard.image",), NOTHING),
    ("embedder_image", "embedder:2", NOTHING, ("spec.containers.embedder.image",)),
    (
        "image_pull_policy",
        "Always",
        ("spec.containers.shard.imagePullPolicy",),
        ("spec.containers.embedder.imagePullPolicy",),
    ),
    ("image_pull_secrets", ("pull",), ("spec.imagePullSecrets",), ("spec.imagePullSecrets",)),
    ("shard_service_account", "other", ("spec.serviceAccountName",), NOTHING),
    ("embedder_service_account", "other", NOTHING, ("spec.serviceAccountName",)),
    (
        "routing_config_map",
        "other",
        ("spec.containers.shard.env.HANAX_ROUTING_CONFIGMAP.value",),
        NOTHING,
    ),
    ("release_name", "other", NOTHING, NOTHING),
    ("aliases_config_map", "other", NOTHING, NOTHING),
    ("gateway_port", 8080, NOTHING, NOTHING),
    ("pool_stateful_set", "hxv-pool", NOTHING, NOTHING),
    ("default_storage_size", "99Gi", NOTHING, NOTHING),
    ("default_storage_class", "slow", NOTHING, NOTHING),
    ("monitoring_labels", {"team": "search"}, NOTHING, NOTHING),
    ("cluster_domain", "k8s.example", NOTHING, NOTHING),
    ("resync_s", 60.0, NOTHING, NOTHING),
    ("probe_s", 60.0, NOTHING, NOTHING),
]

# Not to be changed: fixed for good, refused as yet, the release's own place; or told by their parts above.
NOT_IN_THE_TABLES = {"vectors", "placement", "storage", "endpoint", "serve", "namespace"}


def spec_with(field: str, value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} for a.b"""
    first, _, rest = field.partition(".")
    return {first: {rest: value} if rest else value}


def changed_collection(field: str, value: Any) -> Any:
    return collection(**spec_with(field, value))


def changed_model(field: str, value: Any) -> Any:
    spec = spec_with(field, value)
    return model(**{**spec, "serve": SERVE | spec.get("serve", {})})


def reasons_of_shard(before: Any, after: Any, release: Release = RELEASE) -> tuple[str, ...]:
    live = stored_children(collections.children(before, RELEASE, {}))
    wanted = collections.children(after, release, live)[SHARD]
    assert wanted is not None
    return restart_reasons(live[SHARD], wanted)


def reasons_of_embedder(before: Any, after: Any, release: Release = RELEASE) -> tuple[str, ...]:
    live = stored_children(models.children(before, RELEASE, {}))
    wanted = models.children(after, release, live)[EMBEDDER]
    assert wanted is not None
    return restart_reasons(live[EMBEDDER], wanted)


@pytest.mark.parametrize(("field", "value", "reasons"), OF_A_COLLECTION)
def test_a_change_of_a_collection(field: str, value: Any, reasons: tuple[str, ...]) -> None:
    before, after = collection(), changed_collection(field, value)
    assert before.spec != after.spec
    assert set(reasons_of_shard(before, after)) == set(reasons)


@pytest.mark.parametrize(("field", "value", "reasons"), [row for row in OF_A_COLLECTION if row[2]])
def test_taking_a_change_of_a_collection_back(field: str, value: Any, reasons: tuple[str, ...]) -> None:
    """What is no longer asked for is a change too, though nothing stands in its place."""
    whole = {reason for reason in reasons if ".env." not in reason}
    assert set(reasons_of_shard(changed_collection(field, value), collection())) == whole


@pytest.mark.parametrize(("field", "value", "reasons"), OF_A_MODEL)
def test_a_change_of_a_model(field: str, value: Any, reasons: tuple[str, ...]) -> None:
    before, after = model(serve=SERVE), changed_model(field, value)
    assert before.spec != after.spec
    assert set(reasons_of_embedder(before, after)) == set(reasons)


@pytest.mark.parametrize(("setting", "value", "shard", "embedder"), OF_THE_RELEASE)
def test_a_change_of_the_release(
    setting: str, value: Any, shard: tuple[str, ...], embedder: tuple[str, ...]
) -> None:
    release = released(**{setting: value})
    assert release != RELEASE
    assert reasons_of_shard(collection(), collection(), release) == shard
    assert reasons_of_embedder(model(serve=SERVE), model(serve=SERVE), release) == embedder


def test_the_tables_name_every_field() -> None:
    def fields(kind: Any, below: str = "") -> set[str]:
        return {below + to_camel(name) for name in kind.model_fields}

    assert {row[0] for row in OF_A_COLLECTION} | NOT_IN_THE_TABLES >= fields(VectorCollectionSpec)
    assert {row[0] for row in OF_A_COLLECTION} >= fields(Storage, "storage.")
    assert {row[0] for row in OF_A_MODEL} | NOT_IN_THE_TABLES >= fields(ExternalModelSpec)
    assert {row[0] for row in OF_A_MODEL} >= fields(Serve, "serve.")
    assert {row[0] for row in OF_THE_RELEASE} | NOT_IN_THE_TABLES >= set(Release.model_fields)


def test_an_unchanged_spec_restarts_nothing() -> None:
    assert reasons_of_shard(collection(), collection()) == NOTHING
    assert reasons_of_embedder(model(serve=SERVE), model(serve=SERVE)) == NOTHING


def test_what_others_wrote_into_a_live_object_is_no_reason() -> None:
    live = stored_children(collections.children(collection(), RELEASE, {}))[SHARD]
    wanted = collections.children(collection(), RELEASE, {})[SHARD]
    assert wanted is not None
    template = live["spec"]["template"]
    template["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026-03-01T09:00:00Z"}
    template["spec"]["containers"].append({"name": "sidecar", "image": "sidecar:1"})
    template["spec"]["containers"][0]["env"].append({"name": "TZ", "value": "UTC"})
    assert restart_reasons(live, wanted) == NOTHING


def test_what_others_changed_of_ours_is_a_reason() -> None:
    live = stored_children(collections.children(collection(), RELEASE, {}))[SHARD]
    wanted = collections.children(collection(), RELEASE, {})[SHARD]
    assert wanted is not None
    container = live["spec"]["template"]["spec"]["containers"][0]
    container["livenessProbe"]["periodSeconds"] = 1
    del container["env"][0]
    assert set(restart_reasons(live, wanted)) == {
        "spec.containers.shard.env.HANAX_NODE_NAME",
        "spec.containers.shard.livenessProbe.periodSeconds",
    }
