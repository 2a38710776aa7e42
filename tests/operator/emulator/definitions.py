"""CustomResourceDefinitions: what the server asks of one, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.operator.emulator import answers, rules
from tests.operator.emulator.answers import Cause
from tests.operator.emulator.kinds import Kind, builtin_kinds, custom_kinds
from tests.operator.emulator.store import Obj, Store


class Definitions:
    """Every kind that the server serves now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kinds = {kind.key: kind for kind in builtin_kinds()}

    def get(self, group: str, version: str, plural: str) -> Kind:
        """Raises 404."""
        found = self._kinds.get((group, version, plural))
        if found is None:
            raise answers.no_such_path()
        return found

    def all(self) -> list[Kind]:
        return list(self._kinds.values())

    def check(self, kind: Kind, definition: Mapping[str, Any]) -> None:
        """Raises 422 for a definition that a server would not take."""
        causes = list(_problems(definition))
        if causes:
            raise answers.invalid(kind.qualified, definition.get("metadata", {}).get("name", ""), causes)

    def take(self, kind: Kind, definition: Obj) -> Obj:
        """Serve what is defined, and return the definition with its status."""
        for key in [key for key, known in self._kinds.items() if _is_of(known, definition)]:
            del self._kinds[key]
        self._kinds |= {served.key: served for served in custom_kinds(definition)}
        spec = definition["spec"]
        at = definition["metadata"]["creationTimestamp"]
        conditions = [
            {"type": word, "status": "True", "reason": reason, "message": told, "lastTransitionTime": at}
            for word, reason, told in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ]
        status = {
            "acceptedNames": spec["names"],
            "conditions": conditions,
            "storedVersions": [version["name"] for version in spec["versions"] if version["storage"]],
        }
        if definition.get("status") == status:
            return definition
        return self._store.put(kind, ("", definition["metadata"]["name"]), {**definition, "status": status})

    def drop(self, definition: Obj) -> None:
        """Serve it no longer; its objects go with it."""
        for key, known in list(self._kinds.items()):
            if _is_of(known, definition):
                for name, obj in self._store.all(known):
                    self._store.remove(known, name, obj)
                del self._kinds[key]


def _is_of(kind: Kind, definition: Mapping[str, Any]) -> bool:
    spec = definition["spec"]
    return kind.custom and (kind.group, kind.plural) == (spec["group"], spec["names"]["plural"])


def _problems(definition: Mapping[str, Any]) -> Iterator[Cause]:
    spec = definition["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    if definition["metadata"]["name"] != wanted:
        yield Cause("metadata.name", f'Invalid value: must be spec.names.plural+"."+spec.group: {wanted}')
    for number, version in enumerate(spec["versions"]):
        path = f"spec.versions[{number}].schema.openAPIV3Schema"
        schema = version.get("schema", {}).get("openAPIV3Schema")
        if schema is None:
            yield Cause(path, "Required value: schemas are required", "FieldValueRequired")
            continue
        yield from _schema_problems(schema, path)
        for rule, why in rules.check(schema):
            yield Cause(path, f"Invalid value: compilation failed of {rule!r}: {why}")


def _schema_problems(schema: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Structural: every node has a type, additionalProperties excludes properties, no references."""
    if "$ref" in schema:
        yield Cause(path, "Forbidden: $ref is not supported", "FieldValueForbidden")
        return
    loose = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if "type" not in schema and not loose:
        yield Cause(
            f"{path}.type",
            "Required value: must not be empty for specified object fields",
            "FieldValueRequired",
        )
    if "properties" in schema and "additionalProperties" in schema:
        yield Cause(
            f"{path}.additionalProperties",
            "Forbidden: mutual exclusive with properties",
            "FieldValueForbidden",
        )
    if schema.get("type") == "array" and "items" not in schema:
        yield Cause(f"{path}.items", "Required value: must be specified", "FieldValueRequired")
    for name, inner in schema.get("properties", {}).items():
        if path.endswith("openAPIV3Schema") and name == "metadata":
            continue
        yield from _schema_problems(inner, f"{path}.properties[{name}]")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), Mapping):
            yield from _schema_problems(schema[word], f"{path}.{word}")
