"""What the server does with a written object by its schema: drop, default, validate."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import orjson

from tests.operator.emulator import quantities, schemas
from tests.operator.emulator.answers import Cause
from tests.operator.emulator.schemas import Schema

_WORD_BY_TYPE: Final = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}
_FORMATS: Final = {
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"),
}
# Fields of built-in kinds that are written only when they say something: no pointer lies behind.
_PLAIN_VALUES: Final = frozenset(
    {
        "failureThreshold", "hostIPC", "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds",
        "minReadySeconds", "paused", "periodSeconds", "publishNotReadyAddresses", "readOnly", "stdin",
        "stdinOnce", "successThreshold", "timeoutSeconds", "tty",
    }
)  # fmt: skip


def prune(value: Any, schema: Schema) -> Any:
    """Without the fields that the schema does not declare."""
    if isinstance(value, dict):
        if schemas.is_open(schema):
            return value
        kept = {}
        keeps_all = schema.get("x-kubernetes-preserve-unknown-fields")
        for name, inner in value.items():
            known = schemas.field(schema, name)
            if known is not None:
                kept[name] = prune(inner, known)
            elif keeps_all:
                kept[name] = inner
        return kept
    if isinstance(value, list):
        return [prune(entry, schemas.item(schema)) for entry in value]
    return value


def default(value: Any, schema: Schema) -> Any:
    """With the schema's defaults where a field is absent, or null and not nullable."""
    if isinstance(value, dict):
        filled = dict(value)
        for name, raw in schema.get("properties", {}).items():
            inner = schemas.resolve(raw)
            if name in filled and filled[name] is None and not schemas.is_nullable(inner):
                del filled[name]
            if name not in filled and "default" in inner:
                filled[name] = deepcopy(inner["default"])
        return {name: default(inner, schemas.field(schema, name) or {}) for name, inner in filled.items()}
    if isinstance(value, list):
        return [default(entry, schemas.item(schema)) for entry in value]
    return value


def typed(value: Any, schema: Schema, name: str = "") -> Any:
    """As a built-in kind comes out of the server's own types: empty values go, quantities are canonical.

    Raises ValueError for a quantity that is none.
    """
    if schemas.is_quantity(schema):
        return quantities.canonical(value)
    if isinstance(value, dict):
        if schemas.is_open(schema):
            return value
        kept = {}
        for key, inner in value.items():
            known = schemas.field(schema, key)
            if known is None or inner is None:
                continue
            written = typed(inner, known, key)
            # An entry of a map says something even where it is empty.
            if key not in schema.get("properties", {}) or not _is_omitted(written, known, key):
                kept[key] = written
        return kept
    if isinstance(value, list):
        return [typed(entry, schemas.item(schema)) for entry in value]
    return value


def _is_omitted(value: Any, schema: Schema, name: str) -> bool:
    if value in ([], "", None):
        return True
    if value == {}:
        return "additionalProperties" in schema and "properties" not in schema
    return not value and name in _PLAIN_VALUES


def problems(value: Any, schema: Schema, path: str = "") -> Iterator[Cause]:
    """Where the value is not what the schema asks for, in the server's words."""
    if value is None and schemas.is_nullable(schema):
        return
    if schemas.is_quantity(schema):
        yield from _quantity_problems(value, path)
        return
    if not _is_of_type(value, schema):
        wanted = " or ".join(schemas.types(schema)) or "integer or string"
        word = _WORD_BY_TYPE.get(type(value), "null")
        yield Cause(
            path,
            f'Invalid value: "{word}": {path} in body must be of type {wanted}: "{word}"',
            "FieldValueTypeInvalid",
        )
        return
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(orjson.dumps(word).decode() for word in schema["enum"])
        yield Cause(
            path, f"Unsupported value: {_told(value)}: supported values: {allowed}", "FieldValueNotSupported"
        )
    if isinstance(value, str):
        yield from _string_problems(value, schema, path)
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, path)
    elif isinstance(value, list):
        yield from _list_problems(value, schema, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number_problems(value, schema, path)
    yield from _combined_problems(value, schema, path)


def _is_of_type(value: Any, schema: Schema) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, (int, str)) and not isinstance(value, bool)
    wanted = schemas.types(schema)
    if not wanted:
        return True
    word = _WORD_BY_TYPE.get(type(value), "null")
    if word == "integer" and "number" in wanted:
        return True
    if word == "number" and "integer" in wanted and value == math.floor(value):
        return True
    return word in wanted


def _string_problems(value: str, schema: Schema, path: str) -> Iterator[Cause]:
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield _wrong(path, value, f"should match '{schema['pattern']}'")
    if len(value) < schema.get("minLength", 0):
        yield _wrong(path, value, f"should be at least {schema['minLength']} chars long")
    if len(value) > schema.get("maxLength", math.inf):
        yield Cause(path, f"Too long: may not be more than {schema['maxLength']} bytes", "FieldValueTooLong")
    form = _FORMATS.get(schema.get("format", ""))
    if form is not None and form.fullmatch(value) is None:
        yield _wrong(path, value, f'must be of type {schema["format"]}: "{value}"')


def _number_problems(value: float, schema: Schema, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if value < low or (schema.get("exclusiveMinimum") is True and value == low):
        than = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield _wrong(path, value, f"should be {than} {low}")
    if value > high or (schema.get("exclusiveMaximum") is True and value == high):
        than = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield _wrong(path, value, f"should be {than} {high}")
    if "multipleOf" in schema and value % schema["multipleOf"]:
        yield _wrong(path, value, f"should be a multiple of {schema['multipleOf']}")


def _object_problems(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if value.get(name) is None:
            yield Cause(_inside(path, name), "Required value", "FieldValueRequired")
    if len(value) > schema.get("maxProperties", math.inf):
        yield Cause(
            path,
            f"Too many: {len(value)}: must have at most {schema['maxProperties']} items",
            "FieldValueTooMany",
        )
    if len(value) < schema.get("minProperties", 0):
        yield _wrong(path, "object", f"should have at least {schema['minProperties']} properties")
    for name, inner in value.items():
        known = schemas.field(schema, name)
        if known:
            yield from problems(inner, known, _inside(path, name))


def _list_problems(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", math.inf):
        yield Cause(
            path, f"Too many: {len(value)}: must have at most {schema['maxItems']} items", "FieldValueTooMany"
        )
    if len(value) < schema.get("minItems", 0):
        yield _wrong(path, "array", f"should have at least {schema['minItems']} items")
    seen: set[Any] = set()
    for number, entry in enumerate(value):
        inside = f"{path}[{number}]"
        yield from problems(entry, schemas.item(schema), inside)
        mark: Any = None
        if schemas.list_keys(schema) and isinstance(entry, dict):
            mark = schemas.item_key(schema, entry)
        elif schemas.is_set(schema):
            mark = entry
        if mark is not None and mark in seen:
            told = orjson.dumps(dict(mark) if isinstance(mark, tuple) else mark).decode()
            yield Cause(inside, f"Duplicate value: {told}", "FieldValueDuplicate")
        seen.add(mark)


def _combined_problems(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    for part in schema.get("allOf", ()):
        yield from problems(value, part, path)
    for word, most in (("anyOf", math.inf), ("oneOf", 1)):
        parts = schema.get(word, ())
        if parts and not 1 <= sum(not any(problems(value, part, path)) for part in parts) <= most:
            sense = "at least" if word == "anyOf" else "only"
            yield _wrong(path, value, f"must validate {sense} one schema ({word})")
    if "not" in schema and not any(problems(value, schema["not"], path)):
        yield _wrong(path, value, "must not validate the schema (not)")


def _quantity_problems(value: Any, path: str) -> Iterator[Cause]:
    try:
        quantities.parse(value)
    except ValueError as error:
        yield Cause(path, f"Invalid value: {_told(value)}: {error}")


def _wrong(path: str, value: Any, why: str) -> Cause:
    return Cause(path, f"Invalid value: {_told(value)}: {path} in body {why}")


def _told(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f'"{_WORD_BY_TYPE[type(value)]}"'
    return orjson.dumps(value).decode()


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
