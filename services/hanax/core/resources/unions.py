"""Choices by `type`, such as a collection's index, between models that are in snake_case elsewhere."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BeforeValidator, PlainSerializer
from pydantic.alias_generators import to_camel, to_snake

from hanax.core.index_specs import Spec


def _snake_keys(given: object) -> object:
    if not isinstance(given, dict):
        return given
    return {to_snake(key) if isinstance(key, str) else key: value for key, value in given.items()}


def _written(chosen: Spec | None) -> dict[str, Any] | None:
    """The type, and what is not as it is when nothing is said."""
    if chosen is None:
        return None
    stated = chosen.model_dump(mode="json", exclude_defaults=True, exclude={"type"})
    return {"type": chosen.model_dump()["type"], **{to_camel(name): value for name, value in stated.items()}}


# Marks of an annotation: its models are read and written in camelCase.
READ_CAMEL_CASE: Final = BeforeValidator(_snake_keys)
IN_CAMEL_CASE: Final = PlainSerializer(_written, when_used="json")
