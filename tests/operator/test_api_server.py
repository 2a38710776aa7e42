"""What any API server does: the emulated one is held to it, and a true one can be asked whether it is so.

HANAX_TEST_KUBECONFIG=... pytest tests/operator/test_api_*.py
"""

from __future__ import annotations

from tests.operator import api as client
from tests.operator.api import Api
from tests.operator.waiting import until
from tests.operator.widgets import (
    GROUP,
    config_map,
    refused,
    stateful_set,
    widget,
)

# --- reading and writing ---------------------------------------------------------------------


async def test_a_written_object_gets_an_identity_and_a_revision(api: Api, namespace: str) -> None:
    made = await api.create(config_map(), namespace)
    assert made["metadata"]["uid"]
    assert made["metadata"]["namespace"] == namespace
    changed = await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    assert changed["data"] == {"a": "1", "b": "2"}
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]


async def test_a_write_that_changes_nothing_is_no_write(api: Api, widgets: str, namespace: str) -> None:
    made = await api.create(widget(widgets), namespace)
    assert (await api.merge(widgets, "a", {"spec": {"size": 3}}, namespace)) == made
    assert (await api.replace(made)) == made
    applied = await api.apply(config_map(), namespace, manager="one")
    assert (await api.apply(config_map(), namespace, manager="one")) == applied


async def test_names_are_given_once(api: Api, namespace: str) -> None:
    await api.create(config_map(), namespace)
    found = await refused(api.create(config_map(), namespace), 409, 'configmaps "a" already exists')
    assert found.status["reason"] == "AlreadyExists"
    await refused(api.get("ConfigMap", "b", namespace), 404, 'configmaps "b" not found')
    named = await api.create({**config_map(), "metadata": {"generateName": "some-"}}, namespace)
    assert named["metadata"]["name"].startswith("some-")
    await refused(api.create(config_map(), "nowhere-at-all"), 404, 'namespaces "nowhere-at-all" not found')


async def test_an_older_revision_is_refused(api: Api, namespace: str) -> None:
    made = await api.create(config_map(), namespace)
    await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    found = await refused(api.replace(made), 409, "the object has been modified")
    assert found.status["reason"] == "Conflict"
    old = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"b": "3"}}
    await refused(api.merge("ConfigMap", "a", old, namespace), 409)
    assert (await api.get("ConfigMap", "a", namespace))["data"]["b"] == "2"


async def test_what_the_server_owns_cannot_be_written(api: Api, widgets: str, namespace: str) -> None:
    made = await api.create({**widget(widgets), "status": {"word": "mine"}}, namespace)
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    changed = await api.merge(
        widgets, "a", {"metadata": {"generation": 9}, "status": {"word": "mine"}}, namespace
    )
    assert "status" not in changed
    assert changed["metadata"]["generation"] == 1
    other = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}
    await refused(api.merge(widgets, "a", other, namespace), 422, "metadata.uid", "field is immutable")


async def test_the_generation_counts_changes_of_what_is_wanted(
    api: Api, widgets: str, namespace: str
) -> None:
    await api.create(widget(widgets), namespace)
    labelled = await api.merge(widgets, "a", {"metadata": {"labels": {"x": "y"}}}, namespace)
    told = await api.merge(widgets, "a", {"status": {"word": "x"}}, namespace, "status")
    changed = await api.merge(widgets, "a", {"spec": {"size": 4}}, namespace)
    assert [obj["metadata"]["generation"] for obj in (labelled, told, changed)] == [1, 1, 2]


async def test_the_status_endpoint_changes_status_alone(api: Api, widgets: str, namespace: str) -> None:
    await api.create(widget(widgets), namespace)
    patch = {"metadata": {"labels": {"x": "y"}}, "spec": {"size": 5}, "status": {"word": "told"}}
    told = await api.merge(widgets, "a", patch, namespace, "status")
    assert told["status"] == {"word": "told"}
    assert told["spec"]["size"] == 3
    assert "labels" not in told["metadata"]


async def test_the_scale_endpoint_reads_and_writes_replicas(api: Api, widgets: str, namespace: str) -> None:
    await api.create(widget(widgets, replicas=2), namespace)
    await api.merge(widgets, "a", {"status": {"replicas": 1, "selector": "x=y"}}, namespace, "status")
    scale = await api.get(widgets, "a", namespace, "scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "x=y"})
    scaled = await api.merge(widgets, "a", {"spec": {"replicas": 4}}, namespace, "scale")
    assert scaled["spec"] == {"replicas": 4}
    found = await api.get(widgets, "a", namespace)
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (4, 2)


async def test_the_patches(api: Api, widgets: str, namespace: str) -> None:
    await api.create(widget(widgets, tags=["x"]), namespace)
    at = client.path(widgets, namespace, "a")
    operations = [
        {"op": "test", "path": "/spec/size", "value": 3},
        {"op": "replace", "path": "/spec/size", "value": 5},
    ]
    changed = await api.request("PATCH", at, operations, media="application/json-patch+json")
    assert changed["spec"]["size"] == 5
    await refused(api.request("PATCH", at, operations, media="application/json-patch+json"), 422)
    merged = await api.merge(widgets, "a", {"spec": {"tags": None}}, namespace)
    assert "tags" not in merged["spec"]
    strategic = "application/strategic-merge-patch+json"
    await refused(api.request("PATCH", at, {"spec": {"size": 1}}, media=strategic), 415)
    await api.create(stateful_set(), namespace)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j:1"}]}}}}
    both = await api.request("PATCH", client.path("StatefulSet", namespace, "a"), patch, media=strategic)
    assert {entry["name"] for entry in both["spec"]["template"]["spec"]["containers"]} == {"c", "d"}


async def test_lists_are_chosen_by_labels_and_fields(api: Api, namespace: str) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "2", "y": ""}), ("c", {})):
        await api.create(config_map(name, labels=labels), namespace)

    async def names(**query: str) -> list[str]:
        found = await api.list("ConfigMap", namespace, **query)
        return [obj["metadata"]["name"] for obj in found if obj["metadata"]["name"] in "abc"]

    assert await names(labelSelector="x=1") == ["a"]
    assert await names(labelSelector="x in (1, 2),y") == ["b"]
    assert await names(labelSelector="x!=1") == ["b", "c"]
    assert await names(labelSelector="!x") == ["c"]
    assert await names(labelSelector="x notin (2)") == ["a", "c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    await refused(api.list("ConfigMap", namespace, labelSelector="x in"), 400)
    await refused(api.list("ConfigMap", namespace, fieldSelector="data.a=1"), 400, "data.a")


async def test_lists_come_in_pages(api: Api, namespace: str) -> None:
    for name in "abc":
        await api.create(config_map(name, labels={"page": "1"}), namespace)
    at, query = client.path("ConfigMap", namespace), {"labelSelector": "page=1", "limit": "2"}
    first = await api.request("GET", at, query=query)
    rest = await api.request("GET", at, query={**query, "continue": first["metadata"]["continue"]})
    names = [item["metadata"]["name"] for page in (first, rest) for item in page["items"]]
    assert names == ["a", "b", "c"]
    assert "continue" not in rest["metadata"]
    await refused(api.request("GET", at, query={**query, "continue": "nonsense"}), 400)


async def test_paths_that_lead_nowhere(api: Api, namespace: str) -> None:
    await refused(api.request("GET", "/apis/nobody.example.com/v1/things"), 404)
    await refused(api.request("GET", "/api/v1/nothing"), 404)
    await refused(api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/a/status"), 404)
    wrong = {**config_map(), "kind": "Secret"}
    await refused(api.request("POST", client.path("ConfigMap", namespace), wrong), 400)


async def test_discovery_tells_the_kinds(api: Api, widgets: str) -> None:
    groups = await api.request("GET", "/apis")
    assert GROUP in [group["name"] for group in groups["groups"]]
    found = await api.request("GET", f"/apis/{GROUP}/v1")
    plural = f"{widgets.lower()}s"
    names = {entry["name"] for entry in found["resources"]}
    assert {plural, f"{plural}/status", f"{plural}/scale"} <= names
    core = await api.request("GET", "/api/v1")
    assert {"pods", "pods/status", "configmaps"} <= {entry["name"] for entry in core["resources"]}
    assert (await api.request("GET", "/api"))["versions"] == ["v1"]


# --- deletion --------------------------------------------------------------------------------


async def test_a_finalizer_keeps_an_object_until_it_is_taken_off(
    api: Api, widgets: str, namespace: str
) -> None:
    body = widget(widgets)
    body["metadata"]["finalizers"] = ["things.example.com/hold"]
    await api.create(body, namespace)
    left = await api.delete(widgets, "a", namespace)
    assert left["metadata"]["deletionTimestamp"]
    assert left["metadata"]["generation"] == 2
    again = await api.delete(widgets, "a", namespace)
    assert again["metadata"]["deletionTimestamp"] == left["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["things.example.com/hold", "things.example.com/more"]}}
    await refused(api.merge(widgets, "a", more, namespace), 422, "no new finalizers can be added")
    await refused(api.create(body, namespace), 409)
    await api.merge(widgets, "a", {"metadata": {"finalizers": None}}, namespace)
    assert await api.find(widgets, "a", namespace) is None


async def test_a_deletion_holds_for_the_object_that_is_meant(api: Api, namespace: str) -> None:
    made = await api.create(config_map(), namespace)
    other = {"uid": "00000000-0000-0000-0000-000000000000"}
    await refused(
        api.delete("ConfigMap", "a", namespace, preconditions=other), 409, "UID in the precondition"
    )
    older = {"resourceVersion": "1"}
    await refused(api.delete("ConfigMap", "a", namespace, preconditions=older), 409)
    answer = await api.delete("ConfigMap", "a", namespace, preconditions={"uid": made["metadata"]["uid"]})
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    await refused(api.delete("ConfigMap", "a", namespace), 404)


async def test_what_an_object_owns_goes_with_it(api: Api, widgets: str, namespace: str) -> None:
    made = await api.create(widget(widgets), namespace)
    owner = {"apiVersion": f"{GROUP}/v1", "kind": widgets, "name": "a", "uid": made["metadata"]["uid"]}
    await api.create(config_map("owned", ownerReferences=[owner]), namespace)
    await api.create(
        config_map("orphan", ownerReferences=[{**owner, "uid": "00000000-0000-0000-0000-000000000000"}]),
        namespace,
    )

    async def gone(name: str) -> None:
        async def away() -> bool:
            return await api.find("ConfigMap", name, namespace) is None

        # Controllers look for new kinds every 30 s.
        await until(away, f"{name} is gone", 90.0)

    await gone("orphan")
    assert await api.find("ConfigMap", "owned", namespace) is not None
