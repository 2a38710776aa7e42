"""A dedicated VectorCollection: one StatefulSet for each shard, one headless Service, budgets.

A shared collection lives on the release's pool and is built of nothing. So is one that is being deleted: its
workloads must not exist, and what happens to its volumes is the operator's decision, not a manifest.

What restarts the pods of a shard: a change of resources, gpu, nodeSelector, tolerations, affinity or
topologySpread, and of the release's images, accounts and names. All else that a spec may say reaches
index-shards by the routing table, or changes objects without touching their pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hanax.core.resources.collections import Collection, Placement
from hanax.core.resources.names import ASKED_IMAGE, SHARD_COMPONENT, SHARD_METRICS_PORT, SHARD_PORT
from hanax.core.routing import NodeRoute
from hanax_operator.build import metadata, names, pods
from hanax_operator.build.limits import shard_limits
from hanax_operator.build.volumes import claim_template
from hanax_operator.objects import DISRUPTION_BUDGET, SERVICE, STATEFUL_SET, Manifest, ObjectKey, key
from hanax_operator.release import Release

Built = dict[str, Any]

_CONTAINER: Final = SHARD_COMPONENT
_DATA_DIR: Final = "/data"

# Requests take seconds; longer than the gateway's own deadline nobody waits for them.
_DRAIN_S: Final = 15
# After the drain a running build is told to end and files are closed. Killed earlier, the shard would only
# replay more of its log.
_TERMINATION_S: Final = 60

# A node that fails takes one copy of a shard, then as few shards of the collection as can be.
_APART_REPLICAS: Final = 100
_APART_SHARDS: Final = 50


def children(
    collection: Collection, release: Release, existing: Mapping[ObjectKey, Manifest]
) -> dict[ObjectKey, Built | None]:
    """Every object that the collection has, or must not have any more. Claims are not among them.

    `existing`: its objects as they are, by key; further ones do not matter.
    """
    service = names.collection_service_name(collection.name)
    wanted: dict[ObjectKey, Built | None] = {key(SERVICE, service): headless_service(collection, release)}
    for shard in range(collection.spec.shards):
        name = names.stateful_set_name(collection.name, shard)
        workload = key(STATEFUL_SET, name)
        wanted[workload] = stateful_set(collection, shard, release, existing.get(workload))
        wanted[key(DISRUPTION_BUDGET, name)] = disruption_budget(collection, shard)
    return metadata.with_leftovers(
        wanted, collection, existing, kinds=(SERVICE, STATEFUL_SET, DISRUPTION_BUDGET)
    )


def nodes(collection: Collection, release: Release) -> tuple[NodeRoute, ...]:
    """The collection's own nodes, by shard and then replica; none on the pool.

    They stay while it is suspended, and while it is being deleted: routes may name them still.
    """
    return tuple(
        NodeRoute(name=pod, address=names.shard_address(pod, collection, release.cluster_domain, SHARD_PORT))
        for pods_of_shard in node_names(collection) or ()
        for pod in pods_of_shard
    )


def node_names(collection: Collection) -> tuple[tuple[str, ...], ...] | None:
    """For each shard the nodes that it has to be on, as CatalogEntry.nodes tells it; None on the pool."""
    if collection.spec.placement is not Placement.DEDICATED:
        return None
    return tuple(
        tuple(names.pod_name(collection.name, shard, replica) for replica in range(collection.spec.replicas))
        for shard in range(collection.spec.shards)
    )


def stateful_set(
    collection: Collection, shard: int, release: Release, existing: Manifest | None
) -> Built | None:
    """The replicas of one shard. `existing`: the StatefulSet as it is.

    Its volumes outlive it whatever the deletion policy: who deletes a StatefulSet by hand must not lose data.
    """
    if not _has_workloads(collection):
        return None
    spec = collection.spec
    selector = metadata.shard_selector(collection.name, shard)
    labels = metadata.labelled(selector)
    manifest = metadata.child(
        STATEFUL_SET, names.stateful_set_name(collection.name, shard), collection, labels
    )
    manifest["metadata"]["annotations"] = {ASKED_IMAGE: release.shard_image}
    manifest["spec"] = {
        "replicas": 0 if spec.suspend else spec.replicas,
        "serviceName": names.collection_service_name(collection.name),
        "selector": {"matchLabels": selector},
        # Replicas need not wait for one another to start, and a rollout that failed can be rolled on from.
        # Updates go one pod at a time all the same.
        "podManagementPolicy": "Parallel",
        # The partition is written out: without it a pod that is missing during an update is made as it was
        # before, and removed again for ever, because the controller's count of such pods falls below zero.
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "template": {
            "metadata": {"labels": labels},
            "spec": _pod(collection, shard, release, existing),
        },
        # Fixed for the StatefulSet's life: claims grow by themselves.
        "volumeClaimTemplates": (
            existing["spec"]["volumeClaimTemplates"]
            if existing is not None
            else [claim_template(collection, shard, release)]
        ),
    }
    return manifest


def headless_service(collection: Collection, release: Release) -> Built | None:
    """Gives every pod a name, also while it opens its shards: the routing table says who serves."""
    if not _has_workloads(collection):
        return None
    selector = metadata.shard_selector(collection.name)
    labels = {**release.monitoring_labels, **metadata.labelled(selector)}
    manifest = metadata.child(SERVICE, names.collection_service_name(collection.name), collection, labels)
    manifest["spec"] = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": selector,
        "ports": [
            {"name": "grpc", "port": SHARD_PORT, "targetPort": "grpc", "protocol": "TCP"},
            {"name": "metrics", "port": SHARD_METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"},
        ],
    }
    return manifest


def disruption_budget(collection: Collection, shard: int) -> Built | None:
    """One replica of a shard at a time. A single one has none: there is no other to wait for."""
    if not _has_workloads(collection) or collection.spec.replicas < 2:
        return None
    selector = metadata.shard_selector(collection.name, shard)
    manifest = metadata.child(
        DISRUPTION_BUDGET,
        names.stateful_set_name(collection.name, shard),
        collection,
        metadata.labelled(selector),
    )
    manifest["spec"] = metadata.one_at_a_time(selector)
    return manifest


def _has_workloads(collection: Collection) -> bool:
    return collection.spec.placement is Placement.DEDICATED and not collection.deleting


def _pod(collection: Collection, shard: int, release: Release, existing: Manifest | None) -> Built:
    spec = collection.spec
    container = {
        "name": _CONTAINER,
        "image": pods.chosen_image(_CONTAINER, release.shard_image, existing),
        "imagePullPolicy": release.image_pull_policy,
        # Arguments, not a command: the image's entry point brings the compiled kernels into place first.
        "args": ["python", "-m", "hanax.index_shard"],
        "env": [
            {"name": "HANAX_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *pods.plain_environment(
                {
                    "HANAX_ROUTING_CONFIGMAP": release.routing_config_map,
                    "HANAX_SHARD_HOST": "0.0.0.0",
                    "HANAX_DATA_DIR": _DATA_DIR,
                    "HANAX_DRAIN_GRACE_S": str(_DRAIN_S),
                    # On the volume, so that a restart compiles nothing.
                    "NUMBA_CACHE_DIR": f"{_DATA_DIR}/kernels",
                    **shard_limits(spec.resources),
                }
            ),
        ],
        "ports": [
            {"name": "grpc", "containerPort": SHARD_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": SHARD_METRICS_PORT, "protocol": "TCP"},
        ],
        **pods.probes(SHARD_METRICS_PORT),
        **pods.resources(spec.resources, spec.gpu),
        "securityContext": pods.container_security(),
        "volumeMounts": [{"name": names.DATA_VOLUME, "mountPath": _DATA_DIR}, pods.scratch_mount()],
    }
    return {
        "serviceAccountName": release.shard_service_account,
        "enableServiceLinks": False,
        "securityContext": pods.pod_security(),
        "terminationGracePeriodSeconds": _TERMINATION_S,
        **pods.pulling(release),
        **pods.placement(spec.node_selector, spec.tolerations, spec.gpu),
        "affinity": _affinity(collection, shard),
        **_spread(collection),
        "containers": [container],
        "volumes": [pods.scratch_volume()],
    }


def _affinity(collection: Collection, shard: int) -> Built:
    """As asked, and besides: replicas of a shard on different nodes, and shards too, where nodes allow it."""
    asked = collection.spec.affinity.manifest() if collection.spec.affinity is not None else {}
    away = asked.get("podAntiAffinity", {})
    away[pods.PREFERRED] = [
        *away.get(pods.PREFERRED, ()),
        pods.apart(_APART_REPLICAS, metadata.shard_selector(collection.name, shard)),
        pods.apart(_APART_SHARDS, metadata.shard_selector(collection.name)),
    ]
    return asked | {"podAntiAffinity": away}


def _spread(collection: Collection) -> Built:
    if not collection.spec.topology_spread:
        return {}
    return {
        "topologySpreadConstraints": [
            {
                **spread.model_dump(mode="json", by_alias=True, exclude_none=True),
                "labelSelector": {"matchLabels": metadata.shard_selector(collection.name)},
            }
            for spread in collection.spec.topology_spread
        ]
    }
