"""What pydantic finds wrong with a request, in a user's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from hanax.core.errors import (
    InvalidArgument,
    InvalidCursor,
    InvalidFilter,
    InvalidId,
    InvalidLimit,
    InvalidText,
)
from hanax.core.faults import explain
from hanax.core.json_values import kind_of

# What a fault in one of these fields is called; in any other, InvalidArgument.
_ERROR_BY_FIELD: Final[dict[str, type[InvalidArgument]]] = {
    "cursor": InvalidCursor,
    "filter": InvalidFilter,
    "id": InvalidId,
    "ids": InvalidId,
    "group_size": InvalidLimit,
    "limit": InvalidLimit,
    "offset": InvalidLimit,
    "text": InvalidText,
}

# Their messages tell what was given already, or it says nothing.
_TOLD: Final = frozenset(
    {"missing", "extra_forbidden", "model_attributes_type", "model_type", "union_tag_invalid"}
)

# A parameter of a query is text: of these it was read as a number.
_OF_NUMBERS: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"}
)


def error_from_validation(model: type[BaseModel], failure: ValidationError) -> InvalidArgument:
    """Every fault in the details, the first one in the message and as the class."""
    found = failure.errors(include_url=False)
    faults = [explain(model, fault) for fault in found]
    for fault in faults:
        fault["field"] = fault["field"] or "request"
    return _refusal(found[0], faults)


def error_from_parameters(found: Sequence[Mapping[str, Any]]) -> InvalidArgument:
    """The same of parameters of a path or a query: in the words that a request with such a field has."""
    faults = [{"field": str(fault["loc"][-1]), "message": _lowered(fault["msg"])} for fault in found]
    return _refusal(found[0], faults)


def _refusal(first: Mapping[str, Any], faults: list[dict[str, str]]) -> InvalidArgument:
    """first: the fault that the message tells of."""
    field = faults[0]["field"]
    message = f"{field}: {faults[0]['message']}" if first["loc"] else faults[0]["message"]
    given = first.get("input")
    if first["type"] not in _TOLD and isinstance(given, str | int | float):
        is_number = first["type"] in _OF_NUMBERS
        message += f", got {str(given)[:60] if is_number else _told(given)}"
    kind = _ERROR_BY_FIELD.get(field.partition(".")[0], InvalidArgument)
    return kind(message, errors=faults)


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _told(given: str | float) -> str:
    """As it was written: what is not to be seen in a text is told as well."""
    if isinstance(given, str):
        return repr(given[:60])
    return kind_of(given) if isinstance(given, bool) else str(given)[:60]
