"""What a user may ask to change beyond points themselves: metadata of many points, and aliases."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, SkipValidation

from hanax.core.limits import MAX_ALIASES, MAX_CHANGED_FIELDS
from hanax.core.specs import CollectionName
from hanax.gateway.query_fields import FieldName
from hanax.gateway.requests import CollectionField, FilterField, Id, Request


class MetadataRequest(Request):
    """The same change of the metadata of points, by their ids or of all that match a filter."""

    collection: CollectionField
    ids: SkipValidation[list[Id] | None] = None
    filter: FilterField = None
    merge: Annotated[SkipValidation[dict[str, Any] | None], Field(description="keys to set; others stay")] = (
        None
    )
    replace: Annotated[
        SkipValidation[dict[str, Any] | None], Field(description="the whole object; goes alone")
    ] = None
    delete: Annotated[
        list[FieldName] | None,
        Field(
            min_length=1,
            max_length=MAX_CHANGED_FIELDS,
            description="fields to take out, before keys are set; inside objects, names joined by '.'",
            examples=[["draft", "author.mail"]],
        ),
    ] = None
    expires_at: Annotated[
        SkipValidation[str | None],
        Field(
            description="from when on the points are no more, RFC 3339; null: they stay",
            examples=["2031-01-31T10:00:00Z"],
        ),
    ] = None


class AliasTarget(Request):
    """The collection that an alias stands for."""

    collection: CollectionField


class AliasChange(Request):
    """One alias that is made, moved or removed."""

    alias: CollectionName
    collection: Annotated[str | None, Field(description="null: the alias is removed")]


class AliasSwitchRequest(Request):
    """Changes of aliases that are made together, at one moment."""

    changes: Annotated[list[AliasChange], Field(min_length=1, max_length=MAX_ALIASES)]


CHANGE_BODIES: Final[list[type[BaseModel]]] = [MetadataRequest, AliasTarget, AliasChange, AliasSwitchRequest]
