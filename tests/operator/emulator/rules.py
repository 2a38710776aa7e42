"""CEL rules of custom resources: x-kubernetes-validations.

A rule that names oldSelf judges changes only; one that does not is passed over where nothing changed, as the
server does ("ratcheting"). Numbers are ints or doubles as the schema says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError

from tests.operator.emulator import quantities, schemas
from tests.operator.emulator.answers import Cause
from tests.operator.emulator.schemas import Schema

_REASONS: Final = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_OLD: Final = re.compile(r"\boldSelf\b")
_MISSING: Final = object()


def problems(value: Any, old: Any, schema: Schema) -> Iterator[Cause]:
    """Where a rule says no. `old` is None for an object that is created."""
    if _has_rules(schema):
        yield from _problems(value, _MISSING if old is None else old, schema, "")


def check(schema: Schema) -> Iterator[tuple[str, str]]:
    """Every rule that does not compile, with why."""
    for rule in _all_rules(schema):
        if rule.get("optionalOldSelf"):
            yield rule["rule"], "optionalOldSelf is not emulated"
        for text in filter(None, (rule["rule"], rule.get("messageExpression"))):
            try:
                _program(text)
            except CELParseError as error:
                yield text, str(error)


def _problems(value: Any, old: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if value is None:
        return
    unchanged = old is not _MISSING and old == value
    for rule in schema.get("x-kubernetes-validations", ()):
        if not unchanged or _OLD.search(rule["rule"]):
            yield from _judged(rule, value, old, schema, path)
    if isinstance(value, dict):
        for name, inner in value.items():
            known = schemas.field(schema, name)
            if known:
                before = old.get(name, _MISSING) if isinstance(old, dict) else _MISSING
                yield from _problems(inner, before, known, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        inner_schema = schemas.item(schema)
        keys = schemas.list_keys(schema)
        known_items = (
            {schemas.item_key(schema, entry): entry for entry in old}
            if keys and isinstance(old, list)
            else {}
        )
        for number, entry in enumerate(value):
            before = known_items.get(schemas.item_key(schema, entry), _MISSING) if keys else _MISSING
            yield from _problems(entry, before, inner_schema, f"{path}[{number}]")


def _judged(rule: Mapping[str, Any], value: Any, old: Any, schema: Schema, path: str) -> Iterator[Cause]:
    names = {"self": _cel(value, schema)}
    if _OLD.search(rule["rule"]):
        if old is _MISSING:
            return
        names["oldSelf"] = _cel(old, schema)
    reason = rule.get("reason", "FieldValueInvalid")
    where = path + rule.get("fieldPath", "") if path else rule.get("fieldPath", "").removeprefix(".")
    try:
        if _program(rule["rule"]).evaluate(names):
            return
    except CELEvalError as error:
        yield Cause(where, f"Invalid value: rule evaluation error: {error}")
        return
    told = rule.get("message") or f"failed rule: {rule['rule']}"
    if expression := rule.get("messageExpression"):
        # Where it can't be told, the message stands, as in the server.
        with suppress(CELEvalError):
            told = str(_program(expression).evaluate(names))
    word = f'"{_word(value)}"' if isinstance(value, (dict, list)) else repr(value).replace("'", '"')
    prefix = {"FieldValueForbidden": "Forbidden: ", "FieldValueRequired": "Required value: "}.get(
        reason, f"Invalid value: {word}: "
    )
    yield Cause(where, prefix + told, reason)


def _word(value: Any) -> str:
    return "object" if isinstance(value, dict) else "array"


def _cel(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        return celtypes.MapType(
            {
                celtypes.StringType(name): _cel(inner, schemas.field(schema, name) or {})
                for name, inner in value.items()
            }
        )
    if isinstance(value, list):
        return celtypes.ListType([_cel(entry, schemas.item(schema)) for entry in value])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return json_to_cel(value)
    if "number" in schemas.types(schema):
        return celtypes.DoubleType(value)
    return celtypes.IntType(value) if isinstance(value, int) else celtypes.DoubleType(value)


def _is_quantity(text: celtypes.StringType) -> celtypes.BoolType:
    try:
        quantities.parse(text)
    except ValueError:
        return celtypes.BoolType(False)
    return celtypes.BoolType(True)


def _quantity(text: celtypes.StringType) -> celtypes.DoubleType:
    return celtypes.DoubleType(float(quantities.parse(text)))


def _compare(one: celtypes.DoubleType, other: celtypes.DoubleType) -> celtypes.IntType:
    return celtypes.IntType((one > other) - (one < other))


def _is_url(text: celtypes.StringType) -> celtypes.BoolType:
    parts = urlsplit(str(text))
    return celtypes.BoolType(bool(parts.scheme) and (bool(parts.netloc) or parts.path.startswith("/")))


# What Kubernetes adds to CEL, as far as rules here use it.
_FUNCTIONS: Final[dict[str, Any]] = {
    "compareTo": _compare,
    "isGreaterThan": lambda one, other: celtypes.BoolType(one > other),
    "isLessThan": lambda one, other: celtypes.BoolType(one < other),
    "isQuantity": _is_quantity,
    "isURL": _is_url,
    "quantity": _quantity,
}


@lru_cache(maxsize=512)
def _program(text: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(text), functions=_FUNCTIONS)


def _has_rules(schema: Schema) -> bool:
    return next(_all_rules(schema), None) is not None


def _all_rules(schema: Schema) -> Iterator[Mapping[str, Any]]:
    yield from schema.get("x-kubernetes-validations", ())
    for inner in schema.get("properties", {}).values():
        yield from _all_rules(inner)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), Mapping):
            yield from _all_rules(schema[word])
