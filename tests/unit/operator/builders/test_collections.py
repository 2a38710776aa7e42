"""A VectorCollection's manifests, whole.

A golden that has to be changed inside a pod template means that an upgrade of the operator restarts every
index-shard: think twice, and say so in the changelog.
"""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.routing import NodeRoute
from hanax_operator.build.collections import children, node_names, nodes
from hanax_operator.objects import CLAIM, DISRUPTION_BUDGET, SERVICE, STATEFUL_SET, key
from tests.unit.operator.builders.declared import (
    RELEASE,
    built,
    collection,
    golden,
    released,
    stored,
    stored_children,
)

FULL: dict[str, Any] = {
    "storage": {"size": "1.5Ti", "storageClassName": "fast"},
    "resources": {
        "requests": {"cpu": "500m", "memory": "512Mi"},
        "limits": {"memory": "0.75Gi", "cpu": "1.5"},
    },
    "nodeSelector": {"disk": "nvme"},
    "tolerations": [{"key": "search", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
                ]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 10,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app": "batch"}},
                    },
                }
            ]
        },
    },
    "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone"}],
    "gpu": {
        "resourceName": "amd.com/gpu",
        "nodeSelector": {"gpu": "amd"},
        "tolerations": [{"key": "amd", "operator": "Exists"}],
    },
}


def test_a_plain_collection() -> None:
    assert built(children(collection(), RELEASE, {})) == golden("collection_plain")


def test_a_collection_that_asks_for_everything() -> None:
    release = released(
        image_pull_policy="Always",
        image_pull_secrets=("pull-a", "pull-b"),
        default_storage_class="slow",
        monitoring_labels={"team": "search"},
    )
    assert built(children(collection(replicas=2, **FULL), release, {})) == golden("collection_full")


def test_the_same_input_gives_the_same_bytes() -> None:
    def text() -> str:
        return repr(children(collection(shards=3, **FULL), RELEASE, {}))

    assert text() == text()


def test_each_shard_has_a_set_of_its_own_and_all_share_a_service() -> None:
    found = children(collection(shards=3, replicas=2), RELEASE, {})
    assert [(each.kind, each.name) for each, manifest in found.items() if manifest is not None] == [
        ("Service", "vc-docs"),
        ("StatefulSet", "vc-docs-0"),
        ("PodDisruptionBudget", "vc-docs-0"),
        ("StatefulSet", "vc-docs-1"),
        ("PodDisruptionBudget", "vc-docs-1"),
        ("StatefulSet", "vc-docs-2"),
        ("PodDisruptionBudget", "vc-docs-2"),
    ]
    built(found)


def test_no_selector_matches_the_pods_of_another_shard_or_collection() -> None:
    everything = [
        manifest
        for each in (collection("docs", shards=2), collection("docs-1", shards=2))
        for manifest in built(children(each, RELEASE, {}))
    ]
    sets = [manifest for manifest in everything if manifest["kind"] == "StatefulSet"]
    selectors = [each["spec"]["selector"]["matchLabels"] for each in sets]
    for place, one in enumerate(sets):
        labels = one["spec"]["template"]["metadata"]["labels"]
        chosen = [set(selector.items()) <= set(labels.items()) for selector in selectors]
        assert chosen == [other == place for other in range(len(sets))]
    assert len({manifest["metadata"]["name"] for manifest in sets}) == len(sets)


def test_a_single_replica_has_no_budget_and_one_that_is_left_over_must_not_exist() -> None:
    found = children(collection(), RELEASE, {})
    assert found[key(DISRUPTION_BUDGET, "vc-docs-0")] is None


@pytest.mark.parametrize(
    "gone",
    [{"placement": "shared", "shards": 2}, {"deleting": True, "shards": 2}],
    ids=["shared", "deleting"],
)
def test_what_a_shared_collection_or_one_being_deleted_is_built_of(gone: dict[str, Any]) -> None:
    found = children(collection(**gone), RELEASE, {})
    assert set(found) >= {
        key(SERVICE, "vc-docs"),
        key(STATEFUL_SET, "vc-docs-0"),
        key(STATEFUL_SET, "vc-docs-1"),
    }
    assert set(found.values()) == {None}


def test_suspending_takes_the_pods_and_nothing_else() -> None:
    awake, asleep = (children(collection(suspend=suspend), RELEASE, {}) for suspend in (False, True))
    stateful = asleep[key(STATEFUL_SET, "vc-docs-0")]
    assert stateful is not None
    assert stateful["spec"]["replicas"] == 0
    stateful["spec"]["replicas"] = 1
    assert asleep == awake


def test_what_it_controls_beyond_its_shards_must_not_exist() -> None:
    docs = collection(shards=1)
    existing = stored_children(children(collection(shards=3), RELEASE, {}))
    foreign = stored_children(children(collection(shards=5), RELEASE, {}))[key(STATEFUL_SET, "vc-docs-4")]
    foreign["metadata"]["ownerReferences"][0]["uid"] = "an-earlier-one"
    claim = {
        "metadata": {"name": "data-vc-docs-2-0", "ownerReferences": foreign["metadata"]["ownerReferences"]}
    }
    existing |= {key(STATEFUL_SET, "vc-docs-4"): foreign, key(CLAIM, "data-vc-docs-2-0"): claim}
    found = children(docs, RELEASE, existing)
    assert {
        each.name for each, manifest in found.items() if manifest is None and each.kind == "StatefulSet"
    } == {
        "vc-docs-1",
        "vc-docs-2",
    }
    assert not any(each.kind == "PersistentVolumeClaim" for each in found)


def test_no_manifest_carries_a_version_of_the_operator_or_labels_of_the_collection() -> None:
    plain = children(collection(), RELEASE, {})
    relabelled = collection()
    relabelled = type(relabelled)(
        **{**vars(relabelled), "labels": {"team": "a"}, "annotations": {"note": "b"}, "generation": 7}
    )
    assert children(relabelled, RELEASE, {}) == plain


def test_claim_templates_stay_as_they_are() -> None:
    """They can't be changed, and a StatefulSet that is applied with others is refused."""
    live = stored_children(children(collection(storage={"size": "5Gi"}), RELEASE, {}))
    grown = children(collection(storage={"size": "50Gi"}), released(default_storage_class="other"), live)
    name = key(STATEFUL_SET, "vc-docs-0")
    wanted = grown[name]
    assert wanted is not None
    assert wanted["spec"]["volumeClaimTemplates"] == live[name]["spec"]["volumeClaimTemplates"]


@pytest.mark.parametrize(
    ("asked", "now", "chosen"),
    [
        ("server:1", "server:1", "mirror/server@sha256:1"),  # an admission controller's choice stays
        ("server:1", "server:2", "server:2"),
        (None, "server:1", "server:1"),  # nothing is known of how it was chosen
    ],
)
def test_the_image_stays_until_another_is_asked_for(asked: str | None, now: str, chosen: str) -> None:
    name = key(STATEFUL_SET, "vc-docs-0")
    live = stored_children(children(collection(), released(shard_image=asked or "server:0"), {}))
    if asked is None:
        del live[name]["metadata"]["annotations"]
    live[name]["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror/server@sha256:1"
    wanted = children(collection(), released(shard_image=now), live)[name]
    assert wanted is not None
    assert wanted["spec"]["template"]["spec"]["containers"][0]["image"] == chosen
    assert wanted["metadata"]["annotations"] == {"vector.citadel-ai.com/asked-image": now}


def test_nodes_are_pods_by_name() -> None:
    docs = collection(shards=2, replicas=2)
    assert node_names(docs) == (("vc-docs-0-0", "vc-docs-0-1"), ("vc-docs-1-0", "vc-docs-1-1"))
    assert nodes(docs, released(cluster_domain="k8s.example")) == tuple(
        NodeRoute(name=pod, address=f"{pod}.vc-docs.search.svc.k8s.example:9101")
        for pod in ("vc-docs-0-0", "vc-docs-0-1", "vc-docs-1-0", "vc-docs-1-1")
    )


def test_nodes_stay_while_data_lies_there() -> None:
    awake = nodes(collection(), RELEASE)
    assert nodes(collection(suspend=True), RELEASE) == awake
    assert nodes(collection(deleting=True), RELEASE) == awake


def test_a_shared_collection_has_no_nodes_of_its_own() -> None:
    shared = collection(placement="shared")
    assert node_names(shared) is None
    assert nodes(shared, RELEASE) == ()


def test_a_long_name_fits_and_still_tells_shards_apart() -> None:
    long = collection("a" * 63, shards=11)
    manifests = built(children(long, RELEASE, {}))
    names = [each["metadata"]["name"] for each in manifests if each["kind"] == "StatefulSet"]
    assert len(set(names)) == 11
    # With the hash of a revision behind it the name is the value of a label.
    assert max(map(len, names)) <= 52
    for route in nodes(long, RELEASE):
        assert all(len(part) <= 63 for part in route.address.split(":")[0].split("."))
    service = next(each["metadata"]["name"] for each in manifests if each["kind"] == "Service")
    assert all(each["spec"]["serviceName"] == service for each in manifests if each["kind"] == "StatefulSet")


def test_applying_what_is_there_changes_nothing() -> None:
    docs = collection(shards=2, replicas=2, **FULL)
    first = children(docs, RELEASE, {})
    again = children(docs, RELEASE, {each: stored(manifest) for each, manifest in first.items() if manifest})
    for each, manifest in again.items():
        assert manifest is not None
        manifest.get("spec", {}).pop("volumeClaimTemplates", None)
        before = first[each]
        assert before is not None
        before["spec"].pop("volumeClaimTemplates", None)
        assert manifest == before
