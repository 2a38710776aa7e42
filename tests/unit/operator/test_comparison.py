"""A write needs a wanted field that is missing or different, or an owned one that is no longer wanted."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hanax_operator.comparison import differences

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "x", "labels": {"a": "1"}},
    "spec": {
        "replicas": 1,
        "template": {
            "containers": [
                {
                    "name": "shard",
                    "image": "i:1",
                    "env": [{"name": "A", "value": "1"}],
                    "ports": [{"name": "grpc", "containerPort": 9101}],
                    "resources": {"limits": {"memory": "1024Mi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    },
}
OWNED: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:containers": {
                'k:{"name":"shard"}': {
                    ".": {},
                    "f:name": {},
                    "f:image": {},
                    "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                    "f:ports": {
                        'k:{"containerPort":9101,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                    },
                    "f:resources": {"f:limits": {"f:memory": {}}},
                    "f:volumeMounts": {'k:{"mountPath":"/tmp"}': {".": {}}},
                }
            },
            "f:tolerations": {},
            "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {}}},
        },
    },
}


def live() -> Any:
    """As applied, with what a server adds and rewrites."""
    obj = copy.deepcopy(WANTED)
    obj["metadata"] |= {
        "uid": "u",
        "managedFields": [
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:other": {}}}},
            {"manager": "us", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "us", "operation": "Apply", "fieldsV1": copy.deepcopy(OWNED)},
        ],
    }
    template = obj["spec"]["template"]
    template["restartPolicy"] = "Always"
    container = template["containers"][0]
    container["resources"]["limits"]["memory"] = "1Gi"
    container["ports"][0]["protocol"] = "TCP"
    container["terminationMessagePath"] = "/dev/termination-log"
    obj["status"] = {"replicas": 1}
    return obj


def test_what_the_server_fills_in_or_rewrites_is_no_difference() -> None:
    assert differences(WANTED, live(), "us") == []


def test_what_others_add_is_no_difference() -> None:
    obj = live()
    obj["metadata"]["labels"]["b"] = "2"
    obj["spec"]["template"]["containers"].append({"name": "proxy", "image": "p"})
    obj["spec"]["template"]["containers"][0]["env"].insert(0, {"name": "B", "value": "2"})
    obj["spec"]["template"]["containers"][0]["volumeMounts"].append({"name": "tmp", "mountPath": "/token"})
    assert differences(WANTED, obj, "us") == []


def drift_of_value(obj: Any) -> None:
    obj["spec"]["replicas"] = 3


def drift_of_type(obj: Any) -> None:
    obj["spec"]["replicas"] = True


def label_removed(obj: Any) -> None:
    del obj["metadata"]["labels"]["a"]


def variable_changed(obj: Any) -> None:
    # Not an amount, though it reads like one: 1000m is another text than 1.
    obj["spec"]["template"]["containers"][0]["env"][0]["value"] = "1000m"


def variable_removed(obj: Any) -> None:
    obj["spec"]["template"]["containers"][0]["env"] = []


def container_removed(obj: Any) -> None:
    obj["spec"]["template"]["containers"] = [{"name": "proxy"}]


def limit_changed(obj: Any) -> None:
    obj["spec"]["template"]["containers"][0]["resources"]["limits"]["memory"] = "2Gi"


def toleration_added(obj: Any) -> None:
    obj["spec"]["template"]["tolerations"].append({"key": "x"})


def list_gone(obj: Any) -> None:
    obj["spec"]["template"]["tolerations"] = None


def object_became_text(obj: Any) -> None:
    obj["spec"]["template"] = "none"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (drift_of_value, "spec.replicas"),
        (drift_of_type, "spec.replicas"),
        (label_removed, "metadata.labels.a"),
        (variable_changed, "spec.template.containers[shard].env[A].value"),
        (variable_removed, "spec.template.containers[shard].env[A]"),
        (container_removed, "spec.template.containers[shard]"),
        (limit_changed, "spec.template.containers[shard].resources.limits.memory"),
        (toleration_added, "spec.template.tolerations"),
        (list_gone, "spec.template.tolerations"),
        (object_became_text, "spec.template"),
    ],
)
def test_drift_is_a_difference(change: Any, path: str) -> None:
    obj = live()
    change(obj)
    assert differences(WANTED, obj, "us") == [path]


@pytest.mark.parametrize(
    ("owned", "path"),
    [
        ({"f:spec": {"f:suspended": {}}}, "spec.suspended"),
        ({"f:metadata": {"f:labels": {"f:old": {}}}}, "metadata.labels.old"),
        (
            {"f:spec": {"f:template": {"f:containers": {'k:{"name":"old"}': {".": {}}}}}},
            'spec.template.containers[{"name":"old"}]',
        ),
        ({"f:metadata": {"f:finalizers": {'v:"x"': {}}}}, "metadata.finalizers"),
    ],
)
def test_what_was_owned_and_is_no_longer_wanted_is_a_difference(owned: dict[str, Any], path: str) -> None:
    obj = live()
    obj["metadata"]["managedFields"][2]["fieldsV1"] = owned
    assert differences(WANTED, obj, "us") == [path]


def test_an_object_that_was_never_applied_is_adopted() -> None:
    obj = live()
    obj["metadata"]["managedFields"] = []
    assert differences(WANTED, obj, "us") == ["metadata.managedFields"]


def test_what_is_empty_may_be_left_out_by_the_server() -> None:
    wanted = WANTED | {"spec": WANTED["spec"] | {"none": [], "nothing": {}, "blank": ""}}
    assert differences(wanted, live(), "us") == []
