"""What pydantic finds wrong with an object that someone wrote, in that person's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from hanax.core.json_values import kind_of


def explain(model: type[BaseModel], fault: ErrorDetails) -> dict[str, str]:
    """field: the place in `model` as it was written, empty for the whole. message: what is expected there."""
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
            message = f"there is no such field; expected one of: {', '.join(_names(model, owner))}"
        case _:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
    return {"field": field, "message": message}


def _follow(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    """The place as it was written, and the model that its last part lies in.

    Where a field may be one of several models, pydantic puts the chosen one's `type` into the place.
    """
    owner = model
    written: list[str] = []
    choices: dict[int | str, type[BaseModel]] = {}
    inner: type[BaseModel] | None = None
    for step in place:
        if step in choices:
            owner, choices, inner = choices[step], {}, None
            continue
        if inner is not None and isinstance(step, str):
            owner = inner
        name, field = _field(owner, step)
        written.append(_spelling(model)(name) if field is not None and field.alias is None else str(step))
        if isinstance(step, int):
            continue
        inner = next((model for model in _models_in(field, tagged=False)), None) if field else None
        choices = (
            {arm.model_fields["type"].default: arm for arm in _models_in(field, tagged=True)} if field else {}
        )
    return ".".join(written), owner


def _field(owner: type[BaseModel], step: int | str) -> tuple[str, FieldInfo | None]:
    """The field that is called so, by its name or its alias."""
    for name, field in owner.model_fields.items():
        if step in (name, field.alias):
            return name, field
    return str(step), None


def _spelling(model: type[BaseModel]) -> Callable[[str], str]:
    """How names are written in objects of this model, below fields of other models as well."""
    return to_camel if model.model_config.get("alias_generator") is to_camel else str


def _names(model: type[BaseModel], owner: type[BaseModel]) -> list[str]:
    spelled = _spelling(model)
    return [field.alias or spelled(name) for name, field in owner.model_fields.items()]


def _models_in(annotated: Any, tagged: bool) -> Iterator[type[BaseModel]]:
    """The models that a field may hold: those with a `type` of their own, or those without."""
    annotation = getattr(annotated, "annotation", annotated)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if ("type" in annotation.model_fields) is tagged:
            yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part, tagged)
