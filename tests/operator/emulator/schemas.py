"""Schemas of built-in kinds and of custom resources, walked in one way.

Those of built-in kinds come from Kubernetes' own OpenAPI document, which says of lists whether
they are atomic, sets, or maps with keys. A custom resource brings its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

Schema = Mapping[str, Any]

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_REF = "#/$defs/"
_VERSION = "v1.37.0-local"


@cache
def _definitions() -> dict[str, Schema]:
    found = files("kubernetes_validate") / "kubernetes-json-schema" / _VERSION / "_definitions.json"
    definitions: dict[str, Schema] = orjson.loads(found.read_bytes())["$defs"]
    return definitions


@cache
def _builtin_names() -> dict[tuple[str, str, str], str]:
    return {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, schema in _definitions().items()
        for kind in schema.get("x-kubernetes-group-version-kind", ())
    }


def builtin(group: str, version: str, kind: str) -> Schema:
    return {"$ref": _REF + _builtin_names()[group, version, kind]}


def custom(schema: Schema) -> Schema:
    """A custom resource's schema, with the fields that every object has."""
    text = {"type": "string"}
    common = {"apiVersion": text, "kind": text, "metadata": {"$ref": _REF + _OBJECT_META}}
    return {**schema, "properties": {**schema.get("properties", {}), **common}}


def is_quantity(schema: Schema) -> bool:
    return str(schema.get("$ref", "")).endswith(QUANTITY)


def resolve(schema: Schema) -> Schema:
    """The schema itself, where it only refers to one. What stands beside a reference goes first."""
    ref = schema.get("$ref")
    return schema if ref is None else {**_definitions()[ref.removeprefix(_REF)], **schema}


def types(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(word for word in kind if word != "null")


def is_nullable(schema: Schema) -> bool:
    kind = schema.get("type", ())
    return bool(schema.get("nullable")) or (not isinstance(kind, str) and "null" in kind)


def is_open(schema: Schema) -> bool:
    """Says nothing of its fields: what is written there is kept as it is."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string"):
        return True
    known = ("properties", "additionalProperties", "items")
    return not any(word in schema for word in known) and types(schema) in ((), ("object",))


def field(schema: Schema, name: str) -> Schema | None:
    """The resolved schema of an object's field; None: there is no such field. {}: anything."""
    known = schema.get("properties", {}).get(name)
    if known is not None:
        return known if is_quantity(known) else resolve(known)
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        return more if is_quantity(more) else resolve(more)
    return {} if more is True or is_open(schema) else None


def item(schema: Schema) -> Schema:
    found = schema.get("items", {})
    return found if is_quantity(found) else resolve(found)


def is_atomic(schema: Schema) -> bool:
    """A list or map that has one owner as a whole."""
    if schema.get("x-kubernetes-map-type") == "atomic":
        return True
    is_list = "items" in schema
    return is_list and schema.get("x-kubernetes-list-type", "atomic") == "atomic"


def list_keys(schema: Schema) -> tuple[str, ...]:
    """The fields that tell items of a list apart; none unless the list is a map."""
    is_map = schema.get("x-kubernetes-list-type") == "map"
    return tuple(schema.get("x-kubernetes-list-map-keys", ())) if is_map else ()


def is_set(schema: Schema) -> bool:
    return schema.get("x-kubernetes-list-type") == "set"


def item_key(schema: Schema, entry: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What tells an item of a list that is a map apart, defaults of its keys filled in."""
    fields = item(schema).get("properties", {})
    return tuple((key, entry.get(key, _key_default(key, fields.get(key, {})))) for key in list_keys(schema))


def _key_default(key: str, schema: Schema) -> Any:
    # The OpenAPI document tells no defaults; of keys, this is the only one.
    return schema.get("default", "TCP" if key == "protocol" else None)
