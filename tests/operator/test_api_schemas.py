"""What any API server refuses, prunes and completes (see test_api_server)."""

from __future__ import annotations

import pytest

from tests.operator.api import Api
from tests.operator.widgets import (
    GROUP,
    Obj,
    config_map,
    refused,
    stateful_set,
    widget,
)

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
