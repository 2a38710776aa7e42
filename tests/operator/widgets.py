"""A custom resource of the tests' own, and other objects that an API server is asked to keep."""

from __future__ import annotations

import secrets
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
