"""What goes with a collection and with the release, and what is kept on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import points
from tests.e2e.collections import FILMS, collection, of
from tests.e2e.gateway import Failed, Gateway
from tests.e2e.kubectl import Kubectl, Manifest, name_of
from tests.e2e.releases import NAME, POOL_CLAIMS, Release, until_ready
from tests.e2e.waiting import until

_KEPT = "kept"
_POOL_CLAIMS = {f"persistentvolumeclaim/{claim}" for claim in POOL_CLAIMS}
# Of every namespace, and what tells of the past.
_OTHERS = ("configmap/kube-root-ca.crt", "serviceaccount/default")
_PAST = ("events", "events.events.k8s.io")


def test_under_delete_the_volumes_go_with_the_collection(gateway: Gateway, kubectl: Kubectl) -> None:
    _make(gateway, kubectl, "gone", deletionPolicy="Delete")
    volumes = {claim["spec"]["volumeName"] for claim in kubectl.list_of("pvc", of("gone"))}
    kubectl.delete("vectorcollection", "gone")
    until(lambda: _left(kubectl, "gone") == set(), "nothing of the collection is left")
    until(lambda: volumes.isdisjoint(kubectl.names("persistentvolumes")), "its volumes are gone")
    with pytest.raises(Failed) as failed:
        points.count(gateway, "gone")
    assert failed.value.code == "collection_not_found"


def test_under_retain_the_volumes_stay_and_an_event_names_them(gateway: Gateway, kubectl: Kubectl) -> None:
    _make(gateway, kubectl, _KEPT, deletionPolicy="Retain")
    claims = kubectl.names("pvc", of(_KEPT))
    kubectl.delete("vectorcollection", _KEPT)
    assert claims == {f"data-vc-{_KEPT}-0-0"}
    kept = {f"persistentvolumeclaim/{claim}" for claim in claims}
    until(lambda: _left(kubectl, _KEPT) == kept, "its claims alone are left")
    told = [event["message"] for event in kubectl.list_of("events") if event["reason"] == "DataKept"]
    assert any(claim in message for claim in claims for message in told)


def test_a_new_collection_of_a_kept_name_starts_empty(gateway: Gateway, kubectl: Kubectl) -> None:
    kubectl.apply(collection(_KEPT, deletionPolicy="Delete"))
    until_ready(kubectl, "vectorcollection", _KEPT)
    assert points.count(gateway, _KEPT) == 0
    kubectl.delete("vectorcollection", _KEPT)
    # It holds the data of the one before.
    assert kubectl.names("pvc", of(_KEPT)) == {f"data-vc-{_KEPT}-0-0"}


def test_a_collection_of_the_api_goes_with_its_data(gateway: Gateway, kubectl: Kubectl) -> None:
    gateway.post("/collections", {"name": "drafts", "dimension": points.DIMENSION})
    points.insert(gateway, "drafts", points.FIRST)
    gateway.delete("/collections/drafts")
    until(lambda: kubectl.find("vectorcollection", "drafts") is None, "it is deleted")
    gateway.post("/collections", {"name": "drafts", "dimension": points.DIMENSION})
    assert points.count(gateway, "drafts") == 0


def test_after_an_uninstall_what_is_kept_stays_and_nothing_else(
    films: str, release: Release, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    made = [found for found in release.manifests() if _is_removed(found)]
    assert made
    for kind in ("vectorcollection", "externalmodel"):
        kubectl.delete(kind, "--all")
    release.uninstall()
    wanted = {
        *_POOL_CLAIMS,
        f"persistentvolumeclaim/data-vc-{_KEPT}-0-0",
        *(f"persistentvolumeclaim/data-vc-{FILMS}-{shard}-0" for shard in range(2)),
        "persistentvolumeclaim/data-vc-notes-0-0",
        f"configmap/{NAME}-routing",
        f"configmap/{NAME}-aliases",
    }
    # Each was made by a test before, where that was run.
    allowed = wanted | set(_OTHERS)
    until(lambda: _everything(kubectl) <= allowed, "nothing else is left")
    left = _everything(kubectl)
    assert {*_POOL_CLAIMS, f"configmap/{NAME}-routing", f"configmap/{NAME}-aliases"} <= left
    assert {f"persistentvolumeclaim/data-vc-{films}-{shard}-0" for shard in range(2)} <= left
    for found in made:
        if found["kind"] in ("ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration"):
            assert kubectl.find(found["kind"], name_of(found)) is None
    tell(f"left after helm uninstall: {', '.join(sorted(left - set(_OTHERS)))}")


def _make(gateway: Gateway, kubectl: Kubectl, name: str, **spec: Any) -> None:
    kubectl.apply(collection(name, **spec))
    until_ready(kubectl, "vectorcollection", name)
    points.insert(gateway, name, points.FIRST)


def _left(kubectl: Kubectl, name: str) -> set[str]:
    found = kubectl.list_of("vc,statefulsets,services,pdb,pods,pvc", of(name))
    return {f"{one['kind'].lower()}/{name_of(one)}" for one in found}


def _everything(kubectl: Kubectl) -> set[str]:
    """kind/name of all in the namespace but events."""
    printed = kubectl.run("api-resources", "--namespaced", "--verbs=list,create", "--output=name")
    kinds = ",".join(kind for kind in printed.split() if kind not in _PAST)
    return {f"{one['kind'].lower()}/{name_of(one)}" for one in kubectl.list_of(kinds)}


def _is_removed(found: Manifest) -> bool:
    return bool((found["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") != "keep")
