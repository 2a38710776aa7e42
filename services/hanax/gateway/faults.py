"""What pydantic finds wrong with a request, in a user's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hanax.core.errors import (
    InvalidArgument,
    InvalidCursor,
    InvalidFilter,
    InvalidId,
    InvalidLimit,
    InvalidText,
)
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
    faults = [_explain(model, fault) for fault in found]
    first, field = found[0], faults[0]["field"]
    kind = _ERROR_BY_FIELD.get(field.partition(".")[0], InvalidArgument)
    message = f"{field}: {faults[0]['message']}" if first["loc"] else faults[0]["message"]
    given = first["input"]
    if first["type"] not in _TOLD and isinstance(given, str | int | float):
        message += f", got {str(given)[:60]}"
    return kind(message, errors=faults)


def _explain(model: type[BaseModel], fault: ErrorDetails) -> dict[str, str]:
    field, owner = _follow(model, fault["loc"])
    context: dict[str, Any] = fault.get("ctx", {})
    match fault["type"]:
        case "value_error":
            message = str(context["error"])
        case "union_tag_invalid":
            field += ".type"
            tags = context["expected_tags"].replace("'", "")
            message = f"there is no {context['tag'][:60]!r}; expected one of: {tags}"
        case "union_tag_not_found":
            field += ".type"
            message = "field required"
        case "model_attributes_type" | "model_type":
            message = f"expected an object, got {kind_of(fault['input'])}"
        case "extra_forbidden":
            message = f"there is no such field; expected one of: {_names(owner)}"
        case _:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
    return {"field": field, "message": message}


def _follow(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    """The place as the user wrote it, and the model that its last part lies in.

    Where a field may be one of several models, pydantic puts the chosen one's `type` into the place.
    """
    owner = model
    written: list[str] = []
    choices: dict[int | str, type[BaseModel]] = {}
    inner: type[BaseModel] | None = None
    for step in place:
        if step in choices:
            owner, choices = choices[step], {}
            continue
        written.append(str(step))
        if inner is not None and isinstance(step, str):
            owner = inner
        elif isinstance(step, int):
            continue
        field = owner.model_fields.get(str(step))
        inner = next((model for model in _models_in(field, tagged=False)), None) if field else None
        choices = (
            {arm.model_fields["type"].default: arm for arm in _models_in(field, tagged=True)} if field else {}
        )
    return ".".join(written) or "request", owner


def _models_in(annotated: Any, tagged: bool) -> Iterator[type[BaseModel]]:
    """The models that a field may hold: those with a `type` of their own, or those without."""
    annotation = getattr(annotated, "annotation", annotated)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if ("type" in annotation.model_fields) is tagged:
            yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part, tagged)


def _names(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
