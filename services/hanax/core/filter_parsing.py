"""Filters as JSON: read from several forms, and written back in one.

    {"and": [{"field": "year", "operator": "gte", "value": 2020},
             {"not": {"field": "author.name", "operator": "eq", "value": "Ann"}}]}

A list of conditions is their conjunction. An object without the keys of a condition or a group is
read as `hanax.core.filter_mongo` tells.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from hanax.core.errors import InvalidFilter
from hanax.core.filter_mongo import parse_mongo
from hanax.core.filter_operands import FLAGS, parse_operand, write_operand
from hanax.core.filter_places import Place, parse_path, show
from hanax.core.filters import And, Condition, Filter, MinShould, Not, Operator, Or
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_FILTER_BYTES

_OPERATORS: Final = ", ".join(Operator)
_SHAPE: Final = (
    'a condition {"field", "operator", "value"}, {"and": [...]}, {"or": [...]}, {"not": ...}, '
    '{"min_should": ...}, {"has_id": [...]}, {"year": {"$gte": 2020}}, or a list of conditions'
)
# Keys of an object that is not of the Mongo form. `value` alone names no condition.
_OWN_KEYS: Final = frozenset({"field", "operator", "and", "or", "not", "min_should", "has_id"})


def parse_filter(data: object) -> Filter:
    """Build the tree from decoded JSON. Raises InvalidFilter naming the place and what was expected.

    An integer past 64 bits becomes the nearest float, as orjson reads it in metadata.
    """
    return _parse(data, Place.root())


def parse_filter_json(raw: bytes) -> Filter:
    """Build the tree from its JSON bytes."""
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, got {len(raw)}")
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidFilter(f"the filter is not JSON: {error}") from None
    return parse_filter(data)


def filter_to_json(expression: Filter) -> bytes:
    """Write the tree in the one form that `parse_filter_json` reads back to an equal tree.

    Raises InvalidFilter when that form is longer than `parse_filter_json` takes.
    """
    raw = orjson.dumps(_to_data(expression))
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, this one {len(raw)}")
    return raw


def _parse(data: object, place: Place) -> Filter:
    if isinstance(data, list):
        return And(_parse_group(data, place, ""))
    if not isinstance(data, dict):
        raise InvalidFilter(f"{place.where}: expected {_SHAPE}, got {kind_of(data)}")
    if "field" in data or "operator" in data:
        return _parse_condition(data, place.where)
    if data and _OWN_KEYS.isdisjoint(data):
        return parse_mongo(data, place, _parse)
    if len(data) == 1:
        match data:
            case {"and": children}:
                return And(_parse_group(children, place, ".and"))
            case {"or": children}:
                return Or(_parse_group(children, place, ".or"))
            case {"not": child}:
                return Not(_parse(child, place.below(".not")))
            case {"min_should": asked}:
                return _parse_min_should(asked, place)
            case {"has_id": ids}:
                ids = parse_operand(Operator.HAS_ID, ids, f"{place.where}.has_id")
                return Condition((), Operator.HAS_ID, ids)
    keys = ", ".join(show(key) for key in sorted(data)[:5]) or "no keys"
    raise InvalidFilter(f"{place.where}: expected {_SHAPE}, got an object with {keys}")


def _parse_group(data: object, place: Place, key: str) -> tuple[Filter, ...]:
    if not isinstance(data, list) or not data:
        raise InvalidFilter(
            f"{place.where}{key}: expected a list with at least one condition, got {kind_of(data)}"
        )
    return tuple(_parse(child, place.below(f"{key}[{number}]")) for number, child in enumerate(data))


def _parse_min_should(data: object, place: Place) -> MinShould:
    where = f"{place.where}.min_should"
    if not isinstance(data, dict) or set(data) != {"conditions", "count"}:
        got = "one with other keys" if isinstance(data, dict) and data else kind_of(data)
        raise InvalidFilter(f'{where}: expected an object {{"conditions": [...], "count": 2}}, got {got}')
    children = _parse_group(data["conditions"], place, ".min_should.conditions")
    count = data["count"]
    if type(count) is not int or not 1 <= count <= len(children):
        raise InvalidFilter(
            f"{where}.count: expected a whole number from 1 to {len(children)}, got {kind_of(count)}"
        )
    return MinShould(children, count)


def _parse_condition(data: dict[str, Any], where: str) -> Condition:
    if extra := sorted(set(data) - {"field", "operator", "value"}):
        raise InvalidFilter(f"{where}: unknown key {show(extra[0])}; expected field, operator, value")
    if "operator" not in data:
        raise InvalidFilter(f"{where}: no operator; expected one of {_OPERATORS}")
    try:
        operator = Operator(data["operator"])
    except ValueError:
        raise InvalidFilter(
            f"{where}.operator: unknown operator {show(data['operator'])}; expected one of {_OPERATORS}"
        ) from None
    path = _parse_field(data, operator, where)
    if "value" not in data and operator not in FLAGS:
        raise InvalidFilter(f"{where}: operator {operator} needs a value")
    value = parse_operand(operator, data.get("value", True), f"{where}.value")
    return Condition(path, operator, value)


def _parse_field(data: dict[str, Any], operator: Operator, where: str) -> tuple[str, ...]:
    if operator is Operator.HAS_ID:
        if "field" in data:
            raise InvalidFilter(f"{where}.field: operator has_id is about the point's id and takes no field")
        return ()
    if "field" not in data:
        raise InvalidFilter(f"{where}: operator {operator} needs a field")
    return parse_path(data["field"], f"{where}.field")


def _to_data(expression: Filter) -> dict[str, Any]:
    match expression:
        case Condition(_, Operator.HAS_ID, value):
            return {"has_id": write_operand(value)}
        case Condition(path, operator, value):
            return {"field": ".".join(path), "operator": operator.value, "value": write_operand(value)}
        case And(children):
            return {"and": [_to_data(child) for child in children]}
        case Or(children):
            return {"or": [_to_data(child) for child in children]}
        case Not(child):
            return {"not": _to_data(child)}
        case MinShould(children, count):
            return {"min_should": {"conditions": [_to_data(child) for child in children], "count": count}}
