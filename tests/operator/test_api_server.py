"""What any API server does: the emulated one is held to it, and a true one can be asked whether it is so.

HANAX_TEST_KUBECONFIG=... pytest tests/operator/test_api_server.py
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from tests.operator import api as client
from tests.operator.api import Api, Refused
from tests.operator.waiting import until

Obj = dict[str, Any]

GROUP = "things.example.com"
WIDGET_SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "names": {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 5},
            "maxProperties": 3,
        },
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
        "replicas": {"type": "integer"},
        "ratio": {"type": "number"},
        "fixed": {
            "type": "string",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is fixed"}],
        },
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.ratio) || self.ratio < double(self.size)",
            "message": "ratio must be below size",
            "fieldPath": ".ratio",
        }
    ],
}


@pytest.fixture(scope="module")
def kind(cluster: object) -> str:
    """The name of a kind of its own; made by `widgets`."""
    name = f"Widget{secrets.token_hex(3)}".capitalize()
    client.PLACES[name] = (f"{GROUP}/v1", f"{name.lower()}s", True)
    return name


@pytest.fixture
async def widgets(api: Api, kind: str) -> str:
    plural = f"{kind.lower()}s"
    status = {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "selector": {"type": "string"},
            "word": {"type": "string"},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": WIDGET_SPEC, "status": status}}
        },
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    }
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    if await api.find("CustomResourceDefinition", f"{plural}.{GROUP}") is None:
        await api.create(definition)

    async def served() -> bool:
        try:
            await api.list(kind)
        except Refused:
            return False
        return True

    await until(served, "the kind is served")
    return kind


def widget(kind: str, name: str = "a", **spec: Any) -> Obj:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"size": 3, **spec},
    }


def config_map(name: str = "a", **metadata: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"a": "1"},
    }


def stateful_set(name: str = "a", *, container: Obj | None = None, **spec: Any) -> Obj:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i:1", **(container or {})}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "template": template,
            **spec,
        },
    }


def managers(obj: Obj) -> dict[str, Obj]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", ())}


async def refused(call: Any, code: int, *words: str) -> Refused:
    with pytest.raises(Refused) as found:
        await call
    assert found.value.code == code, found.value
    for word in words:
        assert word in str(found.value)
    return found.value


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


# --- schemas ---------------------------------------------------------------------------------


async def test_a_custom_resource_is_pruned_and_defaulted(api: Api, widgets: str, namespace: str) -> None:
    made = await api.create(
        widget(widgets, unknown=1, open={"any": {"thing": 1}}, parts=[{"name": "p", "more": 2}]), namespace
    )
    assert made["spec"] == {
        "size": 3,
        "colour": "red",
        "open": {"any": {"thing": 1}},
        "parts": [{"name": "p", "count": 1}],
    }


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"size": "three"}, "spec.size", "must be of type integer"),
        ({"size": 0}, "spec.size", "should be greater than or equal to 1"),
        ({"size": None}, "spec.size", "Required value"),
        ({"colour": "green"}, "spec.colour", 'supported values: "red", "blue"'),
        ({"names": {"a": "too long"}}, "spec.names.a", "Too long: may not be more than 5 bytes"),
        ({"names": {"a": "", "b": "", "c": "", "d": ""}}, "spec.names", "must have at most 3 items"),
        ({"tags": ["x", "x"]}, "spec.tags[1]", "Duplicate value"),
        ({"parts": [{"name": "p"}, {"name": "p"}]}, "spec.parts[1]", "Duplicate value"),
        ({"parts": [{}]}, "spec.parts[0].name", "Required value"),
        ({"ratio": 3.5}, "spec.ratio", "ratio must be below size"),
    ],
)
async def test_a_custom_resource_is_refused_by_its_field(
    api: Api, widgets: str, namespace: str, spec: Obj, field: str, words: str
) -> None:
    found = await refused(api.create(widget(widgets, **spec), namespace), 422, words)
    assert field in [cause["field"] for cause in found.status["details"]["causes"]]


async def test_a_rule_about_changes_holds_for_changes_alone(api: Api, widgets: str, namespace: str) -> None:
    await api.create(widget(widgets, fixed="one"), namespace)
    await refused(
        api.merge(widgets, "a", {"spec": {"fixed": "two"}}, namespace), 422, "spec.fixed", "is fixed"
    )
    await api.merge(widgets, "a", {"spec": {"fixed": None}}, namespace)
    assert (await api.merge(widgets, "a", {"spec": {"fixed": "two"}}, namespace))["spec"]["fixed"] == "two"


async def test_a_definition_has_to_be_structural(api: Api, widgets: str) -> None:
    plural = f"{widgets.lower()}s"
    found = await api.get("CustomResourceDefinition", f"{plural}.{GROUP}")
    conditions = {entry["type"]: entry["status"] for entry in found["status"]["conditions"]}
    assert conditions["Established"] == "True"

    def other(spec: Obj) -> Obj:
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        }
        names = {"kind": "Other", "plural": "others", "singular": "other", "listKind": "OtherList"}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"others.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
        }

    await refused(api.create(other({"properties": {"a": {"type": "string"}}})), 422, "type")
    rule = {"type": "object", "x-kubernetes-validations": [{"rule": "self.a ==="}]}
    await refused(api.create(other(rule)), 422, "compilation failed")


# --- built-in kinds --------------------------------------------------------------------------


async def test_built_in_kinds_come_back_with_defaults_and_without_what_says_nothing(
    api: Api, namespace: str
) -> None:
    container = {
        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": "0.5"}},
        "env": [{"name": "A", "value": ""}],
        "args": [],
        "ports": [{"containerPort": 80}],
        "readinessProbe": {"httpGet": {"port": 80, "path": "/ready"}, "initialDelaySeconds": 0},
    }
    body = stateful_set(container=container)
    body["spec"]["template"]["spec"] |= {"tolerations": [], "nodeSelector": {}, "hostNetwork": False}
    made = await api.create(body, namespace)
    spec = made["spec"]["template"]["spec"]
    found = spec["containers"][0]
    assert found["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "500m"},
    }
    assert found["env"] == [{"name": "A"}]
    assert "args" not in found
    assert found["imagePullPolicy"] == "IfNotPresent"
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert found["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/ready", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert not {"tolerations", "nodeSelector", "hostNetwork"} & set(spec)
    assert (spec["restartPolicy"], spec["securityContext"]) == ("Always", {})
    assert made["spec"]["podManagementPolicy"] == "OrderedReady"
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


async def test_what_of_built_in_kinds_is_fixed(api: Api, namespace: str) -> None:
    made = await api.create(stateful_set(), namespace)
    await refused(
        api.merge("StatefulSet", "a", {"spec": {"serviceName": "b"}}, namespace),
        422,
        "updates to statefulset spec for fields other than",
    )
    selector = stateful_set("b", selector={"matchLabels": {"app": "c"}})
    await refused(api.create(selector, namespace), 422, "`selector` does not match template `labels`")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 1}]},
    }
    await api.create(service, namespace)
    await refused(
        api.merge("Service", "a", {"spec": {"clusterIP": "10.96.0.77"}}, namespace),
        422,
        "may not change once set",
    )
    scaled = await api.merge("StatefulSet", "a", {"spec": {"replicas": 3}}, namespace, "scale")
    assert scaled["spec"]["replicas"] == 3
    assert (await api.get("StatefulSet", "a", namespace))["metadata"]["generation"] == made["metadata"][
        "generation"
    ] + 1


async def test_wrong_built_in_objects_are_refused(api: Api, namespace: str) -> None:
    await refused(api.create(stateful_set(replicas="three"), namespace), 400)
    quantity = stateful_set(container={"resources": {"limits": {"cpu": "much"}}})
    await refused(api.create(quantity, namespace), 400)
    big = {**config_map(), "data": {"a": "x" * (1 << 20), "b": "y"}}
    await refused(api.create(big, namespace), 422, "Too long")


# --- server-side apply -----------------------------------------------------------------------


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
    with pytest.raises(Refused) as found:
        await api.apply(pinned, namespace, manager="one")
    assert found.value.code in (404, 409)
    assert await api.find("ConfigMap", "a", namespace) is None


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

        await until(away, f"{name} is gone")

    await gone("orphan")
    assert await api.find("ConfigMap", "owned", namespace) is not None


# --- watching --------------------------------------------------------------------------------


async def collected(api: Api, namespace: str, count: int, **query: str) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    watching = api.watch("ConfigMap", namespace, **query)
    async with aclosing(watching) as events:  # type: ignore[type-var]
        async for word, obj in events:
            if word != "BOOKMARK" and not obj["metadata"]["name"].startswith("kube-"):
                seen.append((word, obj["metadata"]["name"]))
            if len(seen) == count:
                return seen
    return seen


async def test_a_watch_tells_every_change_since_a_revision(api: Api, namespace: str) -> None:
    first = await api.create(config_map("a"), namespace)
    await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    await api.create(config_map("b"), namespace)
    await api.delete("ConfigMap", "a", namespace)
    since = first["metadata"]["resourceVersion"]
    found = await asyncio.wait_for(collected(api, namespace, 3, resourceVersion=since), 10)
    assert found == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]


async def test_a_watch_without_a_revision_begins_with_what_is_there(api: Api, namespace: str) -> None:
    await api.create(config_map("a"), namespace)
    watching = asyncio.create_task(collected(api, namespace, 2))
    await asyncio.sleep(0)
    await api.create(config_map("b"), namespace)
    assert sorted(await asyncio.wait_for(watching, 10)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_sees_objects_come_into_its_selector_and_leave(api: Api, namespace: str) -> None:
    made = await api.create(config_map("a"), namespace)
    since = made["metadata"]["resourceVersion"]
    for value in ("1", "2"):
        await api.merge("ConfigMap", "a", {"metadata": {"labels": {"x": value}}}, namespace)
    found = await asyncio.wait_for(
        collected(api, namespace, 2, resourceVersion=since, labelSelector="x=1"), 10
    )
    assert found == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_watch_ends_at_its_timeout(api: Api, namespace: str) -> None:
    made = await api.create(config_map("a"), namespace)
    since = made["metadata"]["resourceVersion"]
    assert (
        await asyncio.wait_for(collected(api, namespace, 1, resourceVersion=since, timeoutSeconds="1"), 10)
        == []
    )


async def test_a_timeout_has_to_be_whole_seconds(api: Api, namespace: str) -> None:
    await refused(collected(api, namespace, 1, timeoutSeconds="1.0"), 400)


async def test_a_revision_that_is_long_gone_is_told_as_expired(
    api: Api, namespace: str, emulator: Callable[[], Any]
) -> None:
    made = await api.create(config_map("a"), namespace)
    await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    await emulator()
    await refused(
        collected(api, namespace, 1, resourceVersion=made["metadata"]["resourceVersion"]),
        410,
        "too old resource version",
    )


@pytest.fixture
def emulator(cluster: Any) -> Callable[[], Any]:
    """Forgets changes that were: only the emulator does so when asked."""
    if cluster.server is None:
        pytest.skip("when changes are forgotten is the server's own business")
    return lambda: cluster.inside(cluster.server.store.compact)
