"""Parts of requests that read: what of a point is answered, in which order, how alike results may be."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SkipValidation,
)

from hanax.core.json_values import is_unicode
from hanax.core.limits import MAX_CANDIDATES, MAX_PROJECTED_FIELDS, MAX_SEARCH_LIMIT

_NAMES: Final = f"true, false or a list of up to {MAX_PROJECTED_FIELDS} names"


def _check_field(name: str) -> str:
    if not is_unicode(name) or not all(name.split(".")):
        raise ValueError("expected a name, or names joined by '.'")
    return name


def _check_included(value: object) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list) or len(value) > MAX_PROJECTED_FIELDS:
        raise ValueError(f"expected {_NAMES}")
    for number, name in enumerate(value):
        if not isinstance(name, str):
            raise ValueError(f"[{number}]: expected a name")
        try:
            _check_field(name)
        except ValueError as error:
            raise ValueError(f"[{number}]: {error}") from None
    return tuple(value)


# A metadata field.
FieldName = Annotated[
    str,
    AfterValidator(_check_field),
    Field(description="a metadata field; inside objects, names joined by '.'", examples=["author.name"]),
]

_Included = PlainValidator(_check_included, json_schema_input_type=bool | list[str])
MetadataIncluded = Annotated[
    bool | tuple[str, ...],
    _Included,
    Field(description="whether metadata are answered, or which fields of them", examples=[["title"]]),
]
VectorsIncluded = Annotated[
    bool | tuple[str, ...],
    _Included,
    Field(description="whether vectors are answered, or which by name", examples=[["default"]]),
]
VersionIncluded = Annotated[bool, Field(description="whether versions are answered, which if_version takes")]
# A point's id, or a vector.
Example = int | str | list[float]
Examples = Annotated[
    SkipValidation[list[Example]], Field(description="ids or vectors", examples=[[7, "chapter-1"]])
]
Offset = Annotated[
    int | None,
    Field(
        ge=0,
        lt=MAX_SEARCH_LIMIT,
        description=f"results to pass over; offset + limit is at most {MAX_SEARCH_LIMIT}",
    ),
]
Threshold = Annotated[float | None, Field(allow_inf_nan=False, description="least score of a result")]
Total = Annotated[bool, Field(description="answer total_count: how many points match the filter")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Mmr(Part):
    """Maximal marginal relevance: results that are near to the query and unlike one another."""

    diversity: Annotated[
        float, Field(ge=0, le=1, description="0: nearness alone counts; 1: only being unlike the others")
    ] = 0.5
    candidates: Annotated[
        int | None,
        Field(ge=1, le=MAX_CANDIDATES, description="nearest points to choose from; none: 4 times the page"),
    ] = None


class OrderBy(Part):
    """Points by a metadata field, then by id; those without it come last."""

    field: FieldName
    direction: Literal["asc", "desc"] = "asc"


def read_order(value: Any) -> Any:
    """A field's name alone means the order by it, ascending."""
    return {"field": value} if isinstance(value, str) else value
