"""What in a new OpenAPI document breaks clients that were written for an older one.

    python scripts/openapi_changes.py OLD NEW    name every breaking change; exit 1 where there is one

A request that was right must stay right, so what it may hold may grow and not shrink; an answer that was
understood must stay understood, so what it surely has may grow and not shrink. New values of an enumeration
in an answer break nobody: clients are told to expect them. Descriptions, examples and titles are no contract.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

Schema = dict[str, Any]
Direction = Literal["request", "answer"]

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# How a bound narrows what may be sent.
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ALL_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Each with the place where it is."""
    return list(_Documents(old, new).changes())


def allows_breaking(old_version: str, new_version: str) -> bool:
    """Whether the step between the versions is one that may break clients (semver.org, 4 and 8)."""
    old, new = (tuple(map(int, version.split(".")[:2])) for version in (old_version, new_version))
    return new[0] > old[0] or (old[0] == new[0] == 0 and new[1] > old[1])


class _Documents:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        # Pairs of references that are being compared: schemas may hold themselves.
        self._open: set[tuple[str, str, Direction]] = set()

    def changes(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            if path not in self._new["paths"]:
                yield f"{path}: the path is gone"
                continue
            for method in METHODS:
                if method not in operations:
                    continue
                where = f"{method.upper()} {path}"
                found = self._new["paths"][path].get(method)
                if found is None:
                    yield f"{where}: the method is gone"
                else:
                    yield from self._operation(operations[method], found, where)

    def _operation(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        yield from self._parameters(old, new, where)
        yield from self._body(old.get("requestBody"), new.get("requestBody"), where)
        for status, answer in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            place = f"{where}: answer {status}"
            if status not in new.get("responses", {}):
                yield f"{place} is gone"
                continue
            yield from self._contents(answer, new["responses"][status], place, "answer")

    def _parameters(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        before = {(one["in"], one["name"]): one for one in old.get("parameters", ())}
        after = {(one["in"], one["name"]): one for one in new.get("parameters", ())}
        for (kind, name), one in before.items():
            place = f"{where}: {kind} parameter {name}"
            if (kind, name) not in after:
                yield f"{place} is gone"
                continue
            found = after[kind, name]
            if found.get("required", False) and not one.get("required", False):
                yield f"{place} is required now"
            yield from self._schema(one.get("schema", {}), found.get("schema", {}), place, "request")
        for kind, name in after.keys() - before.keys():
            if after[kind, name].get("required", False):
                yield f"{where}: {kind} parameter {name} is new and required"

    def _body(self, old: Schema | None, new: Schema | None, where: str) -> Iterator[str]:
        if new is None:
            if old is not None:
                yield f"{where}: the body is gone"
            return
        if new.get("required", False) and not (old or {}).get("required", False):
            yield f"{where}: the body is required now"
        if old is not None:
            yield from self._contents(old, new, f"{where}: body", "request")

    def _contents(self, old: Schema, new: Schema, where: str, direction: Direction) -> Iterator[str]:
        """By media type."""
        for kind, content in old.get("content", {}).items():
            found = new.get("content", {}).get(kind)
            if found is None:
                yield f"{where}: {kind} is gone"
            else:
                yield from self._schema(content.get("schema", {}), found.get("schema", {}), where, direction)

    def _schema(self, old: Schema, new: Schema, where: str, direction: Direction) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""), direction)
        if all(pair):
            if pair in self._open:
                return
            self._open.add(pair)
            try:
                yield from self._resolved(old, new, where, direction)
            finally:
                self._open.discard(pair)
            return
        yield from self._resolved(old, new, where, direction)

    def _resolved(self, old: Schema, new: Schema, where: str, direction: Direction) -> Iterator[str]:
        old, new = _resolve(old, self._old), _resolve(new, self._new)
        # Every form of a request has to be taken still, and every form of an answer to be known already.
        if direction == "request":
            yield from self._default(old, new, where)
            for form in _forms(old, self._old):
                found = [list(self._form(form, other, where, direction)) for other in _forms(new, self._new)]
                yield from min(found, key=len)
        else:
            for form in _forms(new, self._new):
                found = [list(self._form(other, form, where, direction)) for other in _forms(old, self._old)]
                yield from min(found, key=len)

    def _default(self, old: Schema, new: Schema, where: str) -> Iterator[str]:
        if "default" in old and old["default"] != new.get("default"):
            yield f"{where}: the default was {old['default']!r}, it is {new.get('default')!r}"

    def _form(self, old: Schema, new: Schema, where: str, direction: Direction) -> Iterator[str]:
        """Of schemas that are one thing each."""
        yield from _types(old, new, where, direction)
        if direction == "request":
            yield from _values(old, new, where)
            yield from _bounds(old, new, where)
        elif "enum" in old and "enum" not in new and "const" not in new:
            yield f"{where}: any value may come, where some were told"
        if "items" in old or "items" in new:
            yield from self._schema(old.get("items", {}), new.get("items", {}), f"{where}[]", direction)
        yield from self._properties(old, new, where, direction)

    def _properties(self, old: Schema, new: Schema, where: str, direction: Direction) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        closed = new.get("additionalProperties", True) is False
        for name, schema in before.items():
            place = f"{where}.{name}"
            if name in after:
                yield from self._schema(schema, after[name], place, direction)
            elif direction == "answer" or closed:
                yield f"{place} is gone"
        if direction == "request":
            for name in sorted(needs - needed):
                yield f"{where}.{name} is required now"
            if closed and old.get("additionalProperties", True) is not False:
                yield f"{where}: other fields are not taken any more"
        else:
            for name in sorted((needed - needs) & after.keys()):
                yield f"{where}.{name} may be missing now"
        values = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(values[0], dict) and isinstance(values[1], dict):
            yield from self._schema(values[0], values[1], f"{where}.*", direction)


def _types(old: Schema, new: Schema, where: str, direction: Direction) -> Iterator[str]:
    before, after = _types_of(old), _types_of(new)
    lost = before - after if direction == "request" else after - before
    if lost:
        verb = "is not taken any more" if direction == "request" else "may come now"
        yield f"{where}: {', '.join(sorted(lost))} {verb}"


def _values(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before, after = _values_of(old), _values_of(new)
    if after is None:
        return
    if before is None:
        yield f"{where}: only {', '.join(map(repr, after))} is taken now"
        return
    lost = [value for value in before if value not in after]
    if lost:
        yield f"{where}: {', '.join(map(repr, lost))} is not taken any more"


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for name in _LOWER:
        if name in new and (name not in old or new[name] > old[name]):
            yield f"{where}: {name} was {old.get(name)}, it is {new[name]}"
    for name in _UPPER:
        if name in new and (name not in old or new[name] < old[name]):
            yield f"{where}: {name} was {old.get(name)}, it is {new[name]}"
    for name in ("pattern", "format", "multipleOf"):
        if name in new and new[name] != old.get(name):
            yield f"{where}: {name} was {old.get(name)!r}, it is {new[name]!r}"


def _types_of(schema: Schema) -> frozenset[str]:
    """What JSON has; where integers are not told apart, a number may be one."""
    told = schema.get("type")
    if told is None:
        values = _values_of(schema)
        found = _ALL_TYPES if values is None else frozenset(map(_type_of, values))
    else:
        found = frozenset([told] if isinstance(told, str) else told)
    return found | {"integer"} if "number" in found else found


def _type_of(value: object) -> str:
    names = ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (list, "array"))
    return next(
        (name for kind, name in names if isinstance(value, kind)), "null" if value is None else "object"
    )


def _values_of(schema: Schema) -> list[Any] | None:
    """None: any."""
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _forms(schema: Schema, document: Schema) -> list[Schema]:
    """What it may be, each form with what holds for all of them."""
    branches = schema.get("anyOf") or schema.get("oneOf")
    if not branches:
        return [schema]
    common = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "default")}
    return [
        form for branch in branches for form in _forms({**common, **_resolve(branch, document)}, document)
    ]


def _resolve(schema: Schema, document: Schema) -> Schema:
    """Without references and allOf at the top."""
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    for part in schema.get("allOf", ()):
        schema = {
            **_resolve(part, document),
            **{key: value for key, value in schema.items() if key != "allOf"},
        }
    return schema


def main() -> None:
    parser = argparse.ArgumentParser(description="Name the breaking changes between two OpenAPI documents.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    arguments = parser.parse_args()
    old, new = (json.loads(path.read_text()) for path in (arguments.old, arguments.new))
    if changes := breaking_changes(old, new):
        sys.exit("\n".join(changes))


if __name__ == "__main__":
    main()
