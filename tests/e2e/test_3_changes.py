"""Changes of collections and of the release: each reaches what it is about, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Collection

from tests.e2e import points
from tests.e2e.collections import collection, of
from tests.e2e.gateway import Failed, Gateway
from tests.e2e.kubectl import Kubectl, Manifest, condition_of, name_of, uid_of
from tests.e2e.releases import NAME, POOL_CLAIMS, Release, until_ready
from tests.e2e.waiting import until

_QUIET_S = 20.0
_WRITTEN = "vc,xm,statefulsets,deployments,services,pdb,hpa,pvc,configmaps,secrets,pods"


def test_a_volume_grows_where_its_class_lets_it(films: str, gateway: Gateway, kubectl: Kubectl) -> None:
    claims = kubectl.names("persistentvolumeclaims", of(films))
    kubectl.merge("vectorcollection", films, {"spec": {"storage": {"size": "2Gi"}}})
    if _may_grow(kubectl, claims):
        until(lambda: _held(kubectl, claims) == {"2Gi"}, "both volumes hold 2 GiB")
    else:

        def told() -> bool:
            degraded = condition_of(kubectl.get("vectorcollection", films), "Degraded")
            return degraded.get("status") == "True" and degraded["reason"] == "StorageClassCannotGrow"

        until(told, "a condition says that the class can't grow volumes")
    # Either way it serves on.
    until_ready(kubectl, "vectorcollection", films)
    points.check(gateway, films, points.FIRST)


def test_volumes_of_the_pool_grow_at_an_upgrade_and_never_shrink(
    release: Release, gateway: Gateway, kubectl: Kubectl
) -> None:
    """As the other volumes do; and the pods stay, and what they hold."""
    kubectl.apply(collection("shelved", placement="shared", storage=None, deletionPolicy="Delete"))
    until_ready(kubectl, "vectorcollection", "shelved")
    points.insert(gateway, "shelved", points.FIRST)
    shards = _pods(release, "shard")
    release.upgrade(pool_size="2Gi")
    if _may_grow(kubectl, POOL_CLAIMS):
        until(lambda: _held(kubectl, POOL_CLAIMS) == {"2Gi"}, "the pool's volumes hold 2 GiB")
    else:

        def told() -> bool:
            messages = _told(kubectl, f"{NAME}-pool", "StorageClassCannotGrow")
            return all(any(claim in message for message in messages) for claim in POOL_CLAIMS)

        until(told, "events say that the class can't grow volumes")
    asked = _asked(kubectl, POOL_CLAIMS)
    release.upgrade()
    until(release.is_settled, "the upgrades are through")
    # The operator has seen the smaller size by the time that it has served another collection.
    kubectl.apply(collection("later", placement="shared", storage=None, deletionPolicy="Delete"))
    until_ready(kubectl, "vectorcollection", "later")
    assert _asked(kubectl, POOL_CLAIMS) == asked
    assert _pods(release, "shard") == shards
    points.check(gateway, "shelved", points.FIRST)
    kubectl.delete("vectorcollection", "later", "shelved")


def test_a_suspended_collection_has_no_pods_and_goes_on_with_its_data(
    films: str, gateway: Gateway, kubectl: Kubectl
) -> None:
    kubectl.merge("vectorcollection", films, {"spec": {"suspend": True}})
    until(lambda: kubectl.names("pods", of(films)) == set(), "its pods are gone")

    def told() -> bool:
        return bool(kubectl.get("vectorcollection", films)["status"].get("phase") == "Suspended")

    until(told, "its phase is Suspended")
    until(lambda: _refusal(gateway, films) == "collection_suspended", "the gateway says so too")
    kubectl.merge("vectorcollection", films, {"spec": {"suspend": False}})
    until_ready(kubectl, "vectorcollection", films)
    points.check(gateway, films, points.FIRST)


def test_an_autoscaler_decides_how_many_pods_a_model_has(model: str, kubectl: Kubectl) -> None:
    """Also while the operator changes what else there is of them."""
    deployment = f"xm-{model}"

    def pods() -> int:
        return int(kubectl.get("deployment", deployment)["spec"]["replicas"])

    def has_limits() -> bool:
        pod = kubectl.get("deployment", deployment)["spec"]["template"]["spec"]
        return bool(pod["containers"][0]["resources"].get("limits"))

    scaled = {"replicas": None, "autoscaling": {"min": 2, "max": 4}}
    kubectl.merge("externalmodel", model, {"spec": {"serve": scaled}})
    until(lambda: pods() == 2, "the autoscaler raises their number to its minimum")
    kubectl.run("scale", "deployment", deployment, "--replicas=3")
    kubectl.merge("externalmodel", model, {"spec": {"serve": {"resources": {"limits": {"memory": "1Gi"}}}}})
    until(has_limits, "the change has reached the pods")
    until_ready(kubectl, "externalmodel", model)
    assert pods() == 3
    fixed = {"replicas": 1, "autoscaling": None, "resources": None}
    kubectl.merge("externalmodel", model, {"spec": {"serve": fixed}})
    until(lambda: kubectl.find("hpa", deployment) is None, "the autoscaler is gone")
    until_ready(kubectl, "externalmodel", model)
    assert pods() == 1


def test_nothing_is_written_when_nothing_changes(films: str, model: str, kubectl: Kubectl) -> None:
    kubectl.apply(collection("pooled", placement="shared", storage=None, deletionPolicy="Delete"))
    for kind, name in (("vc", films), ("vc", "pooled"), ("xm", model)):
        until_ready(kubectl, kind, name)
    # The status counts points some seconds after they were written.
    ends = time.monotonic() + 6 * _QUIET_S
    seen = _versions(kubectl)
    since = time.monotonic()
    changed: set[tuple[str, str]] = set()
    while time.monotonic() - since < _QUIET_S:
        assert time.monotonic() < ends, f"written again and again: {sorted(changed)}"
        time.sleep(1)
        now = _versions(kubectl)
        if now != seen:
            changed = {key for key, _ in seen.items() ^ now.items()}
            seen, since = now, time.monotonic()


def test_another_setting_of_the_operator_restarts_no_shard(
    films: str, model: str, release: Release, kubectl: Kubectl
) -> None:
    operators = _pods(release, "operator")
    shards, gateways = _pods(release, "shard"), _pods(release, "gateway")
    embedders = _pods(release, "embedder")
    release.upgrade(gateway={}, operator={"HANAX_OPERATOR_RESYNC_S": "61"})
    until(release.is_settled, "the operator is replaced")
    assert operators.isdisjoint(_pods(release, "operator"))
    until(lambda: release.leader() in _names(release.pods("operator")), "a new one leads")
    # Made by the new one: it has seen all the others by then.
    kubectl.apply(collection("later", placement="shared", storage=None, deletionPolicy="Delete"))
    until_ready(kubectl, "vectorcollection", "later")
    until_ready(kubectl, "vectorcollection", films)
    assert _pods(release, "shard") == shards
    assert _pods(release, "gateway") == gateways
    assert _pods(release, "embedder") == embedders
    kubectl.delete("vectorcollection", "later")


def test_another_setting_of_the_gateway_replaces_the_gateway_alone(films: str, release: Release) -> None:
    before = {part: _pods(release, part) for part in ("shard", "operator", "embedder")}
    gateways = _pods(release, "gateway")
    release.upgrade(gateway={"HANAX_REQUEST_TIMEOUT_S": "21"}, operator={"HANAX_OPERATOR_RESYNC_S": "61"})
    until(release.is_settled, "the gateway is replaced")
    until(lambda: gateways.isdisjoint(_pods(release, "gateway")), "the old gateway is gone")
    assert {part: _pods(release, part) for part in before} == before
    with release.gateway() as gateway:
        points.check(gateway, films, points.FIRST)


def _refusal(gateway: Gateway, collection: str) -> str:
    """The code with which the collection's points are not counted; empty where they are."""
    try:
        points.count(gateway, collection)
    except Failed as failed:
        return failed.code
    return ""


def _may_grow(kubectl: Kubectl, claims: Collection[str]) -> bool:
    classes = {claim["spec"]["storageClassName"] for claim in _found(kubectl, claims)}
    return all(kubectl.get("storageclass", name).get("allowVolumeExpansion") for name in classes)


def _held(kubectl: Kubectl, claims: Collection[str]) -> set[str]:
    """Sizes of the volumes."""
    return {claim["status"]["capacity"]["storage"] for claim in _found(kubectl, claims)}


def _asked(kubectl: Kubectl, claims: Collection[str]) -> set[str]:
    """Sizes that the claims ask for."""
    return {claim["spec"]["resources"]["requests"]["storage"] for claim in _found(kubectl, claims)}


def _found(kubectl: Kubectl, claims: Collection[str]) -> list[Manifest]:
    found = [claim for claim in kubectl.list_of("persistentvolumeclaims") if name_of(claim) in claims]
    assert len(found) == len(claims)
    return found


def _told(kubectl: Kubectl, name: str, reason: str) -> list[str]:
    """Messages of events about an object."""
    return [
        event["message"]
        for event in kubectl.list_of("events")
        if event["involvedObject"]["name"] == name and event["reason"] == reason
    ]


def _versions(kubectl: Kubectl) -> dict[tuple[str, str], str]:
    return {
        (found["kind"], name_of(found)): found["metadata"]["resourceVersion"]
        for found in kubectl.list_of(_WRITTEN)
    }


def _pods(release: Release, component: str) -> set[str]:
    return {uid_of(pod) for pod in release.pods(component)}


def _names(pods: list[Manifest]) -> set[str]:
    return {name_of(pod) for pod in pods}
