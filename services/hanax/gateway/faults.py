"""What pydantic finds wrong with a request, in a user's words."""

from __future__ import annotations

from typing import Final

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


def error_from_validation(model: type[BaseModel], failure: ValidationError) -> InvalidArgument:
    """Every fault in the details, the first one in the message and as the class."""
    found = failure.errors(include_url=False)
    faults = [explain(model, fault) for fault in found]
    for fault in faults:
        fault["field"] = fault["field"] or "request"
    first, field = found[0], faults[0]["field"]
    kind = _ERROR_BY_FIELD.get(field.partition(".")[0], InvalidArgument)
    message = f"{field}: {faults[0]['message']}" if first["loc"] else faults[0]["message"]
    given = first["input"]
    if first["type"] not in _TOLD and isinstance(given, str | int | float):
        message += f", got {_told(given)}"
    return kind(message, errors=faults)


def _told(given: str | float) -> str:
    """As it was written: what is not to be seen in a text is told as well."""
    if isinstance(given, str):
        return repr(given[:60])
    return kind_of(given) if isinstance(given, bool) else str(given)[:60]
