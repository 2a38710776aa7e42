"""Server-side apply: who owns which field (see test_api_server)."""

from __future__ import annotations

from tests.operator import api as client
from tests.operator.api import Api
from tests.operator.widgets import (
    config_map,
    managers,
    refused,
    stateful_set,
    widget,
)


async def test_an_applied_field_goes_when_its_manager_no_longer_names_it(
    api: Api, widgets: str, namespace: str
) -> None:
    body = widget(
        widgets, names={"a": "1", "b": "2"}, tags=["x", "y"], parts=[{"name": "p"}, {"name": "q"}], ratio=1.5
    )
    await api.apply(body, namespace, manager="one")
    less = widget(widgets, names={"b": "3"}, tags=["y"], parts=[{"name": "q"}])
    found = await api.apply(less, namespace, manager="one")
    assert found["spec"] == {
        "size": 3,
        "colour": "red",
        "names": {"b": "3"},
        "tags": ["y"],
        "parts": [{"name": "q", "count": 1}],
    }
    assert managers(found)["one"]["f:spec"] == {
        "f:size": {},
        "f:names": {"f:b": {}},
        "f:tags": {'v:"y"': {}},
        "f:parts": {'k:{"name":"q"}': {".": {}, "f:name": {}}},
    }


async def test_a_field_with_two_owners_stays_until_both_let_go(
    api: Api, widgets: str, namespace: str
) -> None:
    await api.apply(widget(widgets, names={"a": "1"}), namespace, manager="one")
    await api.apply(widget(widgets, names={"a": "1"}), namespace, manager="two")
    found = await api.apply(widget(widgets), namespace, manager="one")
    assert found["spec"]["names"] == {"a": "1"}
    found = await api.apply(widget(widgets), namespace, manager="two")
    assert "names" not in found["spec"]


async def test_what_others_wrote_stays_and_is_taken_by_force_alone(
    api: Api, widgets: str, namespace: str
) -> None:
    await api.apply(widget(widgets, ratio=1.0), namespace, manager="one")
    at = client.path(widgets, namespace, "a")
    edit = {"spec": {"ratio": 2.0, "names": {"mine": "1"}}}
    await api.request("PATCH", at, edit, media="application/merge-patch+json", query={"fieldManager": "hand"})
    found = await refused(
        api.apply(widget(widgets, ratio=1.0), namespace, manager="one", force=False),
        409,
        'conflict with "hand"',
        ".spec.ratio",
    )
    assert found.status["details"]["causes"][0]["field"] == ".spec.ratio"
    taken = await api.apply(widget(widgets, ratio=1.0), namespace, manager="one")
    assert (taken["spec"]["ratio"], taken["spec"]["names"]) == (1.0, {"mine": "1"})
    assert "f:ratio" not in managers(taken)["hand"]["f:spec"]


async def test_a_change_by_hand_takes_the_field_from_its_manager(api: Api, namespace: str) -> None:
    await api.apply(stateful_set(), namespace, manager="one")
    at = client.path("StatefulSet", namespace, "a")
    patch = {"spec": {"replicas": 2}}
    found = await api.request(
        "PATCH", at, patch, media="application/merge-patch+json", query={"fieldManager": "hand"}
    )
    assert "f:replicas" not in managers(found)["one"]["f:spec"]
    assert managers(found)["hand"]["f:spec"] == {"f:replicas": {}}


async def test_a_field_that_is_handed_over_keeps_its_value(api: Api, namespace: str) -> None:
    """Kubernetes' documentation of server-side apply, "Transferring ownership"."""
    await api.apply(stateful_set(), namespace, manager="one")
    body = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"}}
    found = await api.apply({**body, "spec": {"replicas": 0}}, namespace, manager="other", force=False)
    assert managers(found)["other"] == {"f:spec": {"f:replicas": {}}}
    less = stateful_set()
    del less["spec"]["replicas"]
    found = await api.apply(less, namespace, manager="one")
    assert found["spec"]["replicas"] == 0
    assert "f:replicas" not in managers(found)["one"]["f:spec"]
    found = await api.apply({**body, "spec": {"serviceName": "a"}}, namespace, manager="other")
    assert found["spec"]["replicas"] == 1, "nobody owns it any more: its default"


async def test_who_scales_takes_the_number_from_those_who_applied_it(api: Api, namespace: str) -> None:
    await api.apply(stateful_set(), namespace, manager="one")
    at = client.path("StatefulSet", namespace, "a", "scale")
    query = {"fieldManager": "scaler"}
    scale = await api.request("GET", at)
    older = {**scale, "metadata": {**scale["metadata"], "resourceVersion": "1"}, "spec": {"replicas": 1}}
    await refused(api.request("PUT", at, older, query=query), 409, "the object has been modified")
    del scale["metadata"]["resourceVersion"]
    await api.request("PUT", at, scale, query=query)
    found = await api.get("StatefulSet", "a", namespace)
    assert "scaler" not in managers(found), "what stays as it is changes its owner neither"
    await api.request("PUT", at, {**scale, "spec": {"replicas": 1}}, query=query)
    found = await api.get("StatefulSet", "a", namespace)
    assert "f:replicas" not in managers(found)["one"]["f:spec"]
    entry = next(entry for entry in found["metadata"]["managedFields"] if entry["manager"] == "scaler")
    assert (entry["operation"], entry["subresource"]) == ("Update", "scale")
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    less = stateful_set()
    del less["spec"]["replicas"]
    assert (await api.apply(less, namespace, manager="one"))["spec"]["replicas"] == 1


async def test_apply_makes_what_is_not_there_and_leaves_defaults_alone(api: Api, namespace: str) -> None:
    made = await api.apply(stateful_set(), namespace, manager="one")
    assert made["metadata"]["generation"] == 1
    assert "f:podManagementPolicy" not in managers(made)["one"]["f:spec"]
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert container["imagePullPolicy"] == "IfNotPresent"
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    found = await api.apply(stateful_set(container={"env": env}), namespace, manager="one")
    found = await api.apply(stateful_set(container={"env": env[1:]}), namespace, manager="one")
    assert found["spec"]["template"]["spec"]["containers"][0]["env"] == env[1:]


async def test_an_applied_status_is_apart_from_the_rest(api: Api, widgets: str, namespace: str) -> None:
    body = {**widget(widgets), "status": {"word": "told"}}
    await refused(api.apply(body, namespace, manager="one", subresource="status"), 404)
    made = await api.apply(body, namespace, manager="one")
    assert "status" not in made
    told = await api.apply(body, namespace, manager="one", subresource="status")
    assert told["status"] == {"word": "told"}
    entries = [
        (entry["operation"], entry.get("subresource", "")) for entry in told["metadata"]["managedFields"]
    ]
    assert sorted(entries) == [("Apply", ""), ("Apply", "status")]


async def test_apply_refuses_what_no_schema_declares(api: Api, widgets: str, namespace: str) -> None:
    await refused(
        api.apply(widget(widgets, unknown=1), namespace, manager="one"),
        500,
        ".spec.unknown: field not declared in schema",
    )
    nameless = api.request(
        "PATCH", client.path(widgets, namespace, "a"), widget(widgets), media="application/apply-patch+yaml"
    )
    await refused(nameless, 422, "fieldManager")


async def test_an_applied_object_can_be_pinned_to_one_identity(api: Api, namespace: str) -> None:
    pinned = config_map(uid="00000000-0000-0000-0000-000000000000")
    await refused(api.apply(pinned, namespace, manager="one"), 409, "uid mismatch")
    assert await api.find("ConfigMap", "a", namespace) is None


async def test_an_applied_object_can_be_pinned_to_one_revision(api: Api, namespace: str) -> None:
    made = await api.apply(config_map(), namespace, manager="one")
    await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    pins = {name: made["metadata"][name] for name in ("uid", "resourceVersion")}
    for other in ({}, {"uid": "00000000-0000-0000-0000-000000000000"}):
        pinned = {**config_map(**(pins | other)), "data": {"a": "3"}}
        await refused(api.apply(pinned, namespace, manager="one"), 409, "the object has been modified")
    assert (await api.get("ConfigMap", "a", namespace))["data"]["a"] == "1"
