"""An ExternalModel that is served here: its Deployment and what goes with it. And the route of any model.

A model that runs elsewhere is a route and nothing else; one that is being deleted is not even that. What
restarts the pods: a change of the model, its backend, gpu or resources, of whether it has a cache, and of the
release's image, account and Secrets. The number of pods, autoscaling, sizes and all that routes tell do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hanax.core.model_declarations import external_route, served_route
from hanax.core.model_routes import ModelRoute
from hanax.core.resources.models import Model
from hanax.core.resources.names import (
    ASKED_IMAGE,
    EMBEDDER_COMPONENT,
    EMBEDDER_METRICS_PORT,
    EMBEDDER_PORT,
)
from hanax.core.resources.serving import Serve
from hanax_operator.build import metadata, names, pods, volumes
from hanax_operator.build.limits import embedder_limits
from hanax_operator.build.quantities import canonical
from hanax_operator.objects import (
    AUTOSCALER,
    CLAIM,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    SERVICE,
    Manifest,
    ObjectKey,
    key,
)
from hanax_operator.release import Release

Built = dict[str, Any]

_CONTAINER: Final = EMBEDDER_COMPONENT
_CACHE: Final = "cache"
_CACHE_DIR: Final = "/cache"

# Gateways find pods by DNS, which tells them for some seconds more of one that ends.
_LEAVE_S: Final = 5
_DRAIN_S: Final = 15
# Leaving, draining, and the batch that the model is in.
_TERMINATION_S: Final = 45

# A model of many GiB is fetched before its first pod is ready.
_ROLLOUT_S: Final = 1_800

# What the embedder tells of its queue, and prometheus-adapter hands to the autoscaler.
QUEUE_METRIC: Final = "vector_db_embedding_queue_texts"
_BUSY_PERCENT: Final = 80

_APART: Final = 100


def children(
    model: Model, release: Release, existing: Mapping[ObjectKey, Manifest]
) -> dict[ObjectKey, Built | None]:
    """Every object that the model has, or must not have any more.

    `existing`: its objects as they are, by key; further ones do not matter.
    """
    name = names.model_object_name(model.name)
    workload = key(DEPLOYMENT, name)
    cache = key(CLAIM, names.cache_name(model.name))
    wanted: dict[ObjectKey, Built | None] = {
        key(SERVICE, name): service(model, release),
        workload: deployment(model, release, existing.get(workload)),
        key(AUTOSCALER, name): autoscaler(model),
        key(DISRUPTION_BUDGET, name): disruption_budget(model),
        # The last to be written: a volume that can't grow holds nothing else back.
        cache: cache_claim(model, release, existing.get(cache)),
    }
    return metadata.with_leftovers(
        wanted, model, existing, kinds=(CLAIM, SERVICE, DEPLOYMENT, AUTOSCALER, DISRUPTION_BUDGET)
    )


def route(model: Model, release: Release, addresses: Sequence[str] = ()) -> ModelRoute | None:
    """How gateways reach the model; None while nobody serves it, by intent.

    addresses: IP addresses of its pods, over which gateways balance by themselves. While there are none, they
    are told of the Service, behind which the first will be.
    """
    spec = model.spec
    if model.deleting:
        return None
    if spec.endpoint is not None:
        return external_route(model.name, spec, spec.endpoint)
    if spec.serve is None or _most_pods(spec.serve) == 0:
        return None
    at_pods = [f"[{ip}]:{EMBEDDER_PORT}" if ":" in ip else f"{ip}:{EMBEDDER_PORT}" for ip in addresses]
    service_address = names.service_address(
        names.model_object_name(model.name), model.namespace, release.cluster_domain, EMBEDDER_PORT
    )
    return served_route(model.name, spec, spec.serve, at_pods or [service_address])


def deployment(model: Model, release: Release, existing: Manifest | None) -> Built | None:
    """The pods of a served model. `existing`: the Deployment as it is."""
    serve = _served(model)
    if serve is None:
        return None
    selector = metadata.model_selector(model.name)
    labels = metadata.labelled(selector)
    manifest = metadata.child(DEPLOYMENT, names.model_object_name(model.name), model, labels)
    manifest["metadata"]["annotations"] = {ASKED_IMAGE: release.embedder_image}
    # With autoscaling the number of pods is not ours to apply: see plan/replicas.py.
    fixed = {} if serve.autoscaling is not None else {"replicas": serve.replicas}
    manifest["spec"] = {
        **fixed,
        "selector": {"matchLabels": selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _surge(serve)},
        "progressDeadlineSeconds": _ROLLOUT_S,
        "template": {"metadata": {"labels": labels}, "spec": _pod(model, serve, release, existing)},
    }
    return manifest


def service(model: Model, release: Release) -> Built | None:
    """Headless: a gateway keeps its connections, and through one address would use one pod alone."""
    if _served(model) is None:
        return None
    selector = metadata.model_selector(model.name)
    labels = {**release.monitoring_labels, **metadata.labelled(selector)}
    manifest = metadata.child(SERVICE, names.model_object_name(model.name), model, labels)
    manifest["spec"] = {
        "clusterIP": "None",
        "selector": selector,
        "ports": [
            {"name": "grpc", "port": EMBEDDER_PORT, "targetPort": "grpc", "protocol": "TCP"},
            {"name": "metrics", "port": EMBEDDER_METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"},
        ],
    }
    return manifest


def autoscaler(model: Model) -> Built | None:
    """By the texts that wait in each pod, and by the CPU where it is the CPU that computes.

    The queue needs a custom metrics API; a cluster without one still scales by the CPU.
    """
    serve = _served(model)
    if serve is None or serve.autoscaling is None:
        return None
    scaling = serve.autoscaling
    name = names.model_object_name(model.name)
    metrics: list[Built] = [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": QUEUE_METRIC},
                "target": {"type": "AverageValue", "averageValue": canonical(scaling.target_queue)},
            },
        }
    ]
    if _asks_for_cpu(serve) and not serve.on_gpu:
        target = {"type": "Utilization", "averageUtilization": _BUSY_PERCENT}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    manifest = metadata.child(AUTOSCALER, name, model, metadata.labelled(metadata.model_selector(model.name)))
    manifest["spec"] = {
        "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": name},
        "minReplicas": scaling.min,
        "maxReplicas": scaling.max,
        "metrics": metrics,
    }
    return manifest


def cache_claim(model: Model, release: Release, existing: Manifest | None) -> Built | None:
    """A volume that keeps the model's files between pods. It holds no data, and goes with the model.

    Its class and access are fixed from the start, and its size only grows.
    """
    serve = _served(model)
    if serve is None or serve.cache is None:
        return None
    size = canonical(serve.cache.size)
    storage_class = serve.cache.storage_class_name or release.default_storage_class
    access = "ReadWriteMany" if _most_pods(serve) > 1 else "ReadWriteOnce"
    manifest = metadata.child(
        CLAIM,
        names.cache_name(model.name),
        model,
        metadata.labelled(metadata.model_selector(model.name)),
    )
    if existing is not None:
        size = volumes.larger(size, volumes.claimed_size(existing))
        storage_class = existing["spec"].get("storageClassName", "")
        access = existing["spec"]["accessModes"][0]
    manifest["spec"] = volumes.claim_spec(size, storage_class, access)
    return manifest


def disruption_budget(model: Model) -> Built | None:
    """One pod at a time, where there can be more than one."""
    serve = _served(model)
    if serve is None or _most_pods(serve) < 2:
        return None
    selector = metadata.model_selector(model.name)
    manifest = metadata.child(
        DISRUPTION_BUDGET, names.model_object_name(model.name), model, metadata.labelled(selector)
    )
    manifest["spec"] = metadata.one_at_a_time(selector)
    return manifest


def _served(model: Model) -> Serve | None:
    return None if model.deleting else model.spec.serve


def _most_pods(serve: Serve) -> int:
    return serve.autoscaling.max if serve.autoscaling is not None else serve.replicas


def _surge(serve: Serve) -> Built:
    """A pod more during a rollout, unless it would wait for the GPU or the volume of the one it replaces."""
    if serve.on_gpu or (serve.cache is not None and _most_pods(serve) == 1):
        return {"maxSurge": 0, "maxUnavailable": 1}
    return {"maxSurge": 1, "maxUnavailable": 0}


def _asks_for_cpu(serve: Serve) -> bool:
    """Whether there is something that the CPU's use is a share of: a request, or the limit in its place."""
    asked = serve.resources
    return asked is not None and any("cpu" in (amounts or {}) for amounts in (asked.requests, asked.limits))


def _pod(model: Model, serve: Serve, release: Release, existing: Manifest | None) -> Built:
    container = {
        "name": _CONTAINER,
        "image": pods.chosen_image(_CONTAINER, release.embedder_image, existing),
        "imagePullPolicy": release.image_pull_policy,
        "args": ["python", "-m", "hanax.embedder"],
        "env": pods.plain_environment(
            {
                "HANAX_EMBEDDER_HOST": "0.0.0.0",
                "HANAX_EMBEDDER_MODEL": serve.model,
                # Gateways and collections know the model by the name of its object.
                "HANAX_EMBEDDER_NAME": model.name,
                "HANAX_EMBEDDER_BACKEND": serve.backend or "auto",
                "HANAX_EMBEDDER_PRECISION": serve.precision or "auto",
                "HANAX_DRAIN_GRACE_S": str(_DRAIN_S),
                "HF_HOME": f"{_CACHE_DIR}/huggingface",
                "XDG_CACHE_HOME": _CACHE_DIR,
                # The files that onnx is served from, made from the model's own.
                "HANAX_MODEL_CACHE_DIR": f"{_CACHE_DIR}/hana-x-vector",
                **embedder_limits(serve.resources),
            }
        ),
        "ports": [
            {"name": "grpc", "containerPort": EMBEDDER_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": EMBEDDER_METRICS_PORT, "protocol": "TCP"},
        ],
        **pods.probes(EMBEDDER_METRICS_PORT),
        "lifecycle": {"preStop": {"sleep": {"seconds": _LEAVE_S}}},
        **pods.resources(serve.resources, serve.gpu),
        "securityContext": pods.container_security(),
        "volumeMounts": [{"name": _CACHE, "mountPath": _CACHE_DIR}, pods.scratch_mount()],
    }
    # Nothing but the node's disk limits what goes with the pod: how much it is, only the model knows.
    kept = {"persistentVolumeClaim": {"claimName": names.cache_name(model.name)}}
    return {
        "serviceAccountName": release.embedder_service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pods.pod_security(),
        "terminationGracePeriodSeconds": _TERMINATION_S,
        **pods.pulling(release),
        **pods.placement({}, (), serve.gpu),
        "affinity": {
            "podAntiAffinity": {
                pods.PREFERRED: [pods.apart(_APART, metadata.model_selector(model.name))],
            }
        },
        "containers": [container],
        "volumes": [
            {"name": _CACHE, **(kept if serve.cache is not None else {"emptyDir": {}})},
            pods.scratch_volume(),
        ],
    }
