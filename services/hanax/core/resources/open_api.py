"""From pydantic models to the structural OpenAPI schemas that CustomResourceDefinitions hold.

Kubernetes takes OpenAPI 3.0 without references, null types and choices between objects. A choice by
`type` becomes one object with the fields of all, and rules that refuse what belongs to another type.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from hanax.core.resources.manifests import Rule, checked_by

Schema = dict[str, Any]

# Of JSON Schema, what Kubernetes does not know, or what structural schemas say otherwise.
_LEFT_OUT: Final = frozenset(
    {
        "$defs",
        "additionalProperties",
        "const",
        "discriminator",
        "examples",
        "oneOf",
        "patternProperties",
        "propertyNames",
        "title",
    }
)
# How people read a schema; what is not named comes between the two parts.
_FIRST: Final = ("type", "description", "default", "enum")
_LAST: Final = ("properties", "additionalProperties", "items", "required", "x-kubernetes-validations")
# Where the code has the details.
_MODULE: Final = re.compile(r" \(hanax[\w.]*\)")


def structural_schema(model: type[BaseModel]) -> Schema:
    """Raises ValueError for what can't be told in a structural schema."""
    document = model.model_json_schema(by_alias=True)
    return _structural(document, document.get("$defs", {}))


def without_defaults(schema: Any) -> Any:
    """The schema of what only programs write: the API server adds nothing to it."""
    if isinstance(schema, list):
        return [without_defaults(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_defaults(value) for key, value in schema.items() if key != "default"}


def limits(field: Schema) -> str:
    """Sentences that tell the range and the default, which `kubectl explain` does not show."""
    told = ""
    least, most = field.get("minimum"), field.get("maximum")
    if least is not None:
        start = f" Above {least:,}" if field.get("exclusiveMinimum") else f" {least:,}"
        told += f"{start} or more." if most is None else f"{start} to {most:,}."
    default = field.get("default")
    if default is not None and not isinstance(default, dict):
        told += f" Default: {_told(default)}."
    return told


def with_limits_told(schema: Any) -> Any:
    """The schema with `limits` at the end of each description."""
    if isinstance(schema, list):
        return [with_limits_told(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: with_limits_told(value) for key, value in schema.items()}
    if isinstance(schema.get("description"), str):
        told["description"] += limits(schema)
    return told


def _structural(given: Schema, definitions: dict[str, Schema]) -> Schema:
    if given.get("x-kubernetes-int-or-string"):
        return _without(given, "title")
    given = _resolved(given, definitions)
    if "discriminator" in given:
        given = _one_object(given, definitions)
    if "oneOf" in given or "anyOf" in given or "allOf" in given:
        raise ValueError(f"a choice without a `type` is not structural: {given}")
    schema = {key: value for key, value in given.items() if key not in _LEFT_OUT}
    if "const" in given:
        schema["enum"] = [given["const"]]
    for bound, side in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in schema:
            schema |= {side: schema[bound], bound: True}
    if schema.get("default", ...) in (None, {}, []):
        # Absent means the same, and `has()` in rules goes by what people wrote.
        del schema["default"]
    if "properties" in given:
        schema["properties"] = {
            name: _structural(field, definitions) for name, field in given["properties"].items()
        }
    elif values := _values(given):
        schema["additionalProperties"] = _structural(values, definitions)
    if "items" in given:
        schema["items"] = _structural(given["items"], definitions)
    return {key: schema[key] for key in sorted(schema, key=_place)}


def _values(given: Schema) -> Schema:
    """Of a map; empty for what is none. Its keys are not told in a structural schema: a rule has to."""
    found: list[object] = [*given.get("patternProperties", {}).values(), given.get("additionalProperties")]
    return found[0] if isinstance(found[0], dict) else {}


def _place(key: str) -> tuple[int, int]:
    if key in _FIRST:
        return 0, _FIRST.index(key)
    return (2, _LAST.index(key)) if key in _LAST else (1, 0)


def _resolved(given: Schema, definitions: dict[str, Schema]) -> Schema:
    """The schema itself, in the place of references to it and of a choice between it and null."""
    while True:
        if "$ref" in given:
            meant = definitions[given["$ref"].removeprefix("#/$defs/")]
            given = meant | _without(given, "$ref")
        elif choices := given.get("anyOf"):
            left = [choice for choice in choices if choice.get("type") != "null"]
            if len(left) != 1:
                return given
            given = left[0] | _without(given, "anyOf")
        else:
            return given


def _one_object(given: Schema, definitions: dict[str, Schema]) -> Schema:
    """The choices by `type` as one object. Defaults are told in words: a real one would be another type's."""
    arms: dict[str, Schema] = {}
    for choice in given["oneOf"]:
        arm = _resolved(choice, definitions)
        arms[arm["properties"]["type"]["const"]] = arm
    fields: dict[str, Schema] = {}
    rules: list[Rule] = []
    for kind, arm in arms.items():
        for name, field in arm["properties"].items():
            if name == "type":
                continue
            written = to_camel(name)
            if written in fields:
                raise ValueError(f"two types have a field {written}")
            default = field.get("default")
            told = f"With type {kind}: {field['description']}"
            if default is not None:
                told += f"; {_told(default)} by default"
            fields[written] = _without(field, "default") | {"description": f"{told}."}
            rules.append(
                Rule(
                    f"self.type == '{kind}' || !has(self.{written})",
                    f"{written}: only type {kind} has it",
                    f".{written}",
                )
            )
    kinds = [f"{kind}: {_first_sentence(arm)}" for kind, arm in arms.items()]
    kind_field = {"type": "string", "enum": list(arms), "description": "\n".join(kinds)}
    return _without(given, "oneOf", "discriminator") | {
        "type": "object",
        "properties": {"type": kind_field, **fields},
        "required": ["type"],
        # Of one writer as a whole: fields of two types would be mixed otherwise.
        "x-kubernetes-map-type": "atomic",
        **checked_by(*rules),
    }


def _told(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _first_sentence(arm: Schema) -> str:
    return _MODULE.sub("", arm["description"].split("\n")[0])


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}
