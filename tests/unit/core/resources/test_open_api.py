"""What structural schemas make of pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from hanax.core.resources.manifests import SpecPart
from hanax.core.resources.open_api import limits, structural_schema, with_limits_told, without_defaults


class Round(BaseModel):
    """A circle (hanax.core.resources).

    Not told.
    """

    type: Literal["round"] = "round"
    wide_as: int = Field(3, ge=1, description="radius")


class Square(BaseModel):
    """Four sides."""

    type: Literal["square"] = "square"
    side: float | None = Field(None, gt=0, description="length; none: one")


class Inner(SpecPart):
    """Told where nothing else is."""

    long_name: str = Field("a", description="A name.")


class Whole(SpecPart):
    """All of it."""

    form: Annotated[Round | Square, Field(discriminator="type")] = Field(description="A form.")
    inner: Inner | None = None
    told: Inner = Field(Inner(), description="Told here.")
    many: tuple[Inner, ...] = Field((), max_length=2, description="Some.")
    by_key: dict[Annotated[str, Field(pattern="a+")], int] = Field(default_factory=dict, description="A map.")


SCHEMA = structural_schema(Whole)["properties"]


def test_a_choice_by_type_is_one_object_whose_rules_tell_the_types_apart() -> None:
    form = SCHEMA["form"]
    assert form["type"] == "object"
    assert form["required"] == ["type"]
    assert form["x-kubernetes-map-type"] == "atomic"
    assert form["properties"]["type"] == {
        "type": "string",
        "description": "round: A circle.\nsquare: Four sides.",
        "enum": ["round", "square"],
    }
    assert form["properties"]["wideAs"] == {
        "type": "integer",
        "description": "With type round: radius; 3 by default.",
        "minimum": 1,
    }
    assert form["properties"]["side"] == {
        "type": "number",
        "description": "With type square: length; none: one.",
        "minimum": 0,
        "exclusiveMinimum": True,
    }
    assert [rule["rule"] for rule in form["x-kubernetes-validations"]] == [
        "self.type == 'round' || !has(self.wideAs)",
        "self.type == 'square' || !has(self.side)",
    ]


def test_references_and_nulls_are_resolved_and_the_nearest_words_win() -> None:
    inner = {"longName": {"type": "string", "description": "A name.", "default": "a"}}
    assert SCHEMA["inner"] == {
        "type": "object",
        "description": "Told where nothing else is.",
        "properties": inner,
    }
    assert SCHEMA["told"]["description"] == "Told here."
    assert SCHEMA["told"]["default"] == {"longName": "a"}


def test_empty_defaults_stay_out_for_has_goes_by_what_people_wrote() -> None:
    assert "default" not in SCHEMA["many"]
    assert SCHEMA["many"]["maxItems"] == 2
    assert SCHEMA["byKey"]["additionalProperties"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"type": "string"}, ""),
        ({"minimum": 1, "maximum": 8_192}, " 1 to 8,192."),
        ({"minimum": 0, "exclusiveMinimum": True, "maximum": 1}, " Above 0 to 1."),
        ({"minimum": 0}, " 0 or more."),
        ({"minimum": 1, "maximum": 600, "default": 30}, " 1 to 600. Default: 30."),
        ({"default": False}, " Default: false."),
        ({"default": {"type": "auto"}}, ""),
    ],
)
def test_ranges_and_defaults_are_told_where_people_look(field: dict[str, Any], told: str) -> None:
    assert limits(field) == told
    whole = {"properties": {"a": field | {"description": "A."}, "description": {"type": "string"}}}
    assert with_limits_told(whole)["properties"]["a"]["description"] == f"A.{told}"
    assert with_limits_told(whole)["properties"]["description"] == {"type": "string"}


def test_a_schema_without_defaults_keeps_all_else() -> None:
    assert without_defaults(SCHEMA["told"]) == {
        "type": "object",
        "description": "Told here.",
        "properties": {"longName": {"type": "string", "description": "A name."}},
    }


def test_a_choice_without_a_type_is_refused() -> None:
    class Open(SpecPart):
        either: int | str = 3

    with pytest.raises(ValueError, match="not structural"):
        structural_schema(Open)
