"""GraphQL types made of the models that every door shares, so that no field is declared twice.

A request model becomes an input, whose value reaches resolvers as the mapping that the model is made of; a
model of an answer becomes an object. A field has the same meaning in both; its name is in camel case.

`int` is Int where it fits 32 bits whatever happens, else Long. Objects of any form, and unions, are JSON.
Names from a closed set are String, so that a wrong one has the same error in every door.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, cast

import strawberry
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from hanax.gateway.graphql.cost import Cost
from hanax.gateway.graphql.scalars import Json, Long, PointId, Vector

_LEAVES: Final[Mapping[object, Any]] = {
    str: str,
    bool: bool,
    float: float,
    int: Long,
    datetime: datetime,
    int | str: PointId,
    list[float]: Vector,
}

# Bounded by limits of ours.
_SMALL: Final = frozenset(
    {
        "batch_size",
        "candidates",
        "chunk_count",
        "dimension",
        "dimensions",
        "document_count",
        "ef_search",
        "group_size",
        "k",
        "limit",
        "max_tokens",
        "nprobe",
        "offset",
        "position",
        "priority",
        "probes",
        "retries",
        "revision",
        "shard",
        "shards",
        "tries",
    }
)

# Fields that inputs have beside those of their model.
_MORE: Final = {"metadata_fields": "which fields of metadata are answered; all when missing"}

# What reading or writing many numbers costs beside one value.
_VECTOR_COST: Final = Cost(weight=10)


class Shapes:
    """Types by their models: a model that another one mentions is made once."""

    def __init__(self) -> None:
        self._inputs: dict[type[BaseModel], type] = {}
        self._objects: dict[type[BaseModel], type] = {}

    def input(self, model: type[BaseModel], name: str, /, without: Iterable[str] = (), **more: Any) -> type:
        """more: fields beside the model's, as their annotation."""
        left_out = set(without)
        annotations: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for key, info in model.model_fields.items():
            if key in left_out:
                continue
            kind, optional = _without_none(info.annotation)
            default: Any = strawberry.UNSET
            if info.is_required() and not optional:
                annotations[key] = self._of(key, kind, self._nested_input)
                fields[key] = strawberry.field(description=_describe(info))
                continue
            if isinstance(info.default, bool | int | float | str) and not isinstance(info.default, enum.Enum):
                default = info.default
            shown = self._of(key, kind, self._nested_input)
            # What the model takes null for, or has no plain value for when it is missing.
            annotations[key] = optional_of(shown) if optional or default is strawberry.UNSET else shown
            fields[key] = strawberry.field(description=_describe(info), default=default)
        for key, annotation in more.items():
            annotations[key] = annotation
            fields[key] = strawberry.field(default=strawberry.UNSET, description=_MORE.get(key))
        made = strawberry.input(
            _make_class(name, annotations, fields), name=name, description=_first_line(model)
        )
        _definition(made).from_input = _from_input
        self._inputs[model] = made
        return made

    def object(
        self,
        model: type[BaseModel],
        name: str,
        /,
        without: Iterable[str] = (),
        loose: bool = False,
        **more: Any,
    ) -> type:
        """more: fields beside the model's, or in their place: strawberry fields, or annotations.

        loose: any field may be null.
        """
        left_out = {*without, *more}
        annotations: dict[str, Any] = {
            key: one for key, one in more.items() if not isinstance(one, StrawberryField)
        }
        fields: dict[str, Any] = {key: one for key, one in more.items() if isinstance(one, StrawberryField)}
        for key, info in model.model_fields.items():
            if key in left_out:
                continue
            kind, optional = _without_none(info.annotation)
            shown = self._of(key, kind, self._nested_object)
            annotations[key] = optional_of(shown) if optional or loose else shown
            directives = [_VECTOR_COST] if Vector in (shown, *typing.get_args(shown)) else []
            fields[key] = strawberry.field(description=_describe(info), directives=directives)
        made = strawberry.type(
            _make_class(name, annotations, fields), name=name, description=_first_line(model)
        )
        self._objects[model] = made
        return made

    def known(self, model: type[BaseModel]) -> type | None:
        """The object that was made of a model."""
        return self._objects.get(model)

    def _nested_input(self, model: type[BaseModel]) -> type:
        return self._inputs.get(model) or self.input(model, f"{model.__name__}Input")

    def _nested_object(self, model: type[BaseModel]) -> type:
        return self._objects.get(model) or self.object(model, model.__name__)

    def _of(self, name: str, kind: Any, nested: Any) -> Any:
        """The GraphQL type of an annotation that has no None."""
        if kind is int and name in _SMALL:
            return int
        if kind in _LEAVES:
            return _LEAVES[kind]
        origin = typing.get_origin(kind)
        if origin in (list, Sequence):
            (item,) = typing.get_args(kind)
            item, optional = _without_none(item)
            inner = self._of("", item, nested)
            return list_of(optional_of(inner) if optional else inner)
        if origin is Literal:
            return str
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return str
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return nested(kind)
        return Json


def optional_of(kind: Any) -> Any:
    """The type, or null. A type that is made here has no name that a type checker knows."""
    return typing.Optional.__getitem__(kind)


def list_of(kind: Any) -> Any:
    return types.GenericAlias(list, (kind,))


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """The annotation without None and without what is said of it, and whether None was there."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if annotation is Any:
        return annotation, True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        args = typing.get_args(annotation)
        rest = [arg for arg in args if arg is not type(None)]
        if len(rest) < len(args):
            inner, _ = _without_none(rest[0] if len(rest) == 1 else typing.Union[tuple(rest)])  # noqa: UP007
            return inner, True
        if set(rest) == {int, str}:
            return int | str, False
    return annotation, False


def _describe(info: FieldInfo) -> str | None:
    """What is said of the field, and the names that it may have."""
    kind, _ = _without_none(info.annotation)
    names: Sequence[Any] = ()
    if typing.get_origin(kind) is Literal:
        names = typing.get_args(kind)
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        names = [one.value for one in kind]
    told = [info.description] if info.description else []
    if names:
        told.append(f"one of {', '.join(map(str, names))}")
    if isinstance(info.default, enum.Enum):
        told.append(f"{info.default.value} when missing")
    return "; ".join(told) or None


def _first_line(model: type[BaseModel]) -> str | None:
    own = model.__dict__.get("__doc__")
    return own.strip().split("\n\n")[0].replace("\n    ", " ") if own else None


def _make_class(name: str, annotations: dict[str, Any], fields: dict[str, Any]) -> type:
    # The module's own name space: annotations are types here, not text.
    return type(name, (), {"__annotations__": annotations, "__module__": __name__, **fields})


def _definition(made: type) -> StrawberryObjectDefinition:
    return cast("StrawberryObjectDefinition", cast("Any", made).__strawberry_definition__)


def _from_input(made: type, value: Mapping[str, Any], context: InputContext) -> dict[str, Any]:
    """What a client sent for an input, by the names of the model's fields."""
    told: dict[str, Any] = {}
    for shown, (name, kind) in _fields_of(made, context).items():
        if shown in value:
            given = value[shown]
            told[name] = given if kind is None or given is None else context.convert(given, kind, shown)
    return told


def _fields_of(made: type, context: InputContext) -> dict[str, tuple[str, Any]]:
    """By the name that GraphQL knows: the field's own name, and its type where there are inputs in it."""
    known: dict[str, tuple[str, Any]] | None = made.__dict__.get("_fields_by_shown_name")
    if known is None:
        known = {}
        for field in _definition(made).fields:
            kind = cast("Any", field.resolve_type(type_definition=_definition(made)))
            inner = kind
            while hasattr(inner, "of_type"):
                inner = inner.of_type
            is_input = hasattr(inner, "__strawberry_definition__")
            shown = context.config.name_converter.from_field(field)
            known[shown] = (field.python_name, kind if is_input else None)
        made._fields_by_shown_name = known  # type: ignore[attr-defined]
    return known
