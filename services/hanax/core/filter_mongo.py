"""The Mongo form of a filter: {"year": {"$gte": 2020, "$lt": 2024}, "tags": "x", "$or": [...]}.

It becomes the same tree as the other forms and means what that tree means, also where MongoDB
would answer otherwise. What an object holds beside one another is joined by one And, in the order
in which it was written; a single part stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from hanax.core.errors import InvalidFilter
from hanax.core.filter_operands import parse_operand
from hanax.core.filter_places import Place, parse_path, show
from hanax.core.filters import And, Condition, Filter, Not, Operator, Or
from hanax.core.json_values import kind_of

_GROUPS: Final = ("$and", "$or", "$nor", "$not")
_OPERATORS: Final = {f"${operator}": operator for operator in Operator if operator is not Operator.HAS_ID} | {
    "$nin": Operator.NOT_IN
}
_OPERATOR_NAMES: Final = ", ".join([*_OPERATORS, "$not"])

_Parse = Callable[[object, Place], Filter]


class _Part(NamedTuple):
    """One key of an object, or one operator of a field."""

    step: str
    build: Callable[[Place], Filter]


def parse_mongo(data: dict[str, Any], place: Place, parse: _Parse) -> Filter:
    """Build the tree of an object of one key or more. `parse` builds those of filters inside it.

    Raises InvalidFilter naming the place and what was expected.
    """
    parts: list[_Part] = []
    for key, value in data.items():
        if key.startswith("$"):
            parts.append(_group(key, value, place.where, parse))
        else:
            parts += _of_field(key, value, place.where)
    return _joined(parts, place)


def _joined(parts: list[_Part], place: Place) -> Filter:
    if len(parts) == 1:
        return parts[0].build(place.at(parts[0].step))
    return And(tuple(part.build(place.below(part.step)) for part in parts))


def _group(key: str, value: object, where: str, parse: _Parse) -> _Part:
    if key not in _GROUPS:
        raise InvalidFilter(f"{where}: unknown operator {show(key)}; expected one of {', '.join(_GROUPS)}")
    if key == "$not":
        return _Part(".$not", lambda place: Not(parse(value, place.below(""))))
    if not isinstance(value, list) or not value:
        raise InvalidFilter(
            f"{where}.{key}: expected a list with at least one condition, got {kind_of(value)}"
        )

    def children(place: Place) -> tuple[Filter, ...]:
        return tuple(parse(child, place.below(f"[{number}]")) for number, child in enumerate(value))

    match key:
        case "$and":
            return _Part(".$and", lambda place: And(children(place)))
        case "$or":
            return _Part(".$or", lambda place: Or(children(place)))
        case _:
            return _Part(".$nor", lambda place: Not(Or(children(place.below("")))))


def _of_field(field: str, value: object, where: str) -> list[_Part]:
    path = parse_path(field, where)
    step = f".{field}" if field.isascii() and field.isprintable() and len(field) <= 40 else f"[{show(field)}]"
    if isinstance(value, dict):
        return _of_operators(path, value, where, step)
    if isinstance(value, list):
        raise InvalidFilter(
            f"{where}{step}: expected a value, or an object of operators such as $in, got {kind_of(value)}"
        )
    return [_condition(path, Operator.EQ, value, step)]


def _of_operators(path: tuple[str, ...], data: dict[str, Any], where: str, step: str) -> list[_Part]:
    if not data:
        raise InvalidFilter(
            f"{where}{step}: expected a value, or an object of operators, got an empty object"
        )
    parts = []
    for key, value in data.items():
        if key == "$not":
            parts.append(_negation(path, value, where, f"{step}.$not"))
        elif key in _OPERATORS:
            parts.append(_condition(path, _OPERATORS[key], value, f"{step}.{key}"))
        else:
            raise InvalidFilter(
                f"{where}{step}: unknown operator {show(key)}; expected one of {_OPERATOR_NAMES}"
            )
    return parts


def _negation(path: tuple[str, ...], value: object, where: str, step: str) -> _Part:
    if not isinstance(value, dict):
        raise InvalidFilter(f"{where}{step}: expected an object of operators, got {kind_of(value)}")

    def build(place: Place) -> Filter:
        # Not before: a place bounds how deep this goes.
        inner = place.below("")
        return Not(_joined(_of_operators(path, value, inner.where, ""), inner))

    return _Part(step, build)


def _condition(path: tuple[str, ...], operator: Operator, value: object, step: str) -> _Part:
    return _Part(step, lambda place: Condition(path, operator, parse_operand(operator, value, place.where)))
