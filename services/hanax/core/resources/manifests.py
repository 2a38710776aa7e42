"""What every part of a custom resource has in common, and the CEL rules that go into its schema."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class SpecPart(BaseModel):
    """A part of what people write: camelCase, closed, never changed in place."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def manifest(self) -> dict[str, Any]:
        """JSON values in camelCase, without what has its default."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class StatusPart(BaseModel):
    """A part of what people are told. What another version of the operator wrote is passed over."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def manifest(self) -> dict[str, Any]:
        """JSON values in camelCase, without what is None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Rule(NamedTuple):
    """A CEL rule of the API server. `field`: path of what is wrong, below where the rule stands."""

    rule: str
    message: str
    field: str = ""


def checked_by(*rules: Rule) -> dict[str, Any]:
    """The `json_schema_extra` of a field or a model that the API server checks by `rules`."""
    return {
        "x-kubernetes-validations": [
            {"rule": rule.rule, "message": rule.message} | ({"fieldPath": rule.field} if rule.field else {})
            for rule in rules
        ]
    }


def fixed(field: str, reason: str) -> dict[str, Any]:
    """For a field that is always there: it keeps its value for the object's life."""
    return checked_by(Rule("self == oldSelf", f"{field}: can't be changed: {reason}"))


def fixed_option(field: str, reason: str) -> Rule:
    """For a field that may be absent: it stays absent, or keeps its value. Stands at the field's parent."""
    rule = (
        f"has(self.{field}) == has(oldSelf.{field})"
        f" && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    )
    return Rule(rule, f"{field}: can't be added, changed or removed: {reason}", f".{field}")
