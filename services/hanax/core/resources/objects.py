"""Custom resources as the API server hands them out, read once and then passed around."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from hanax.core.errors import InvalidArgument
from hanax.core.faults import explain
from hanax.core.json_values import kind_of
from hanax.core.resources.names import PAUSED
from hanax.core.times import instant_of

# How the checks of whole parts begin.
_NAMED: Final = re.compile(r"([A-Za-z.]+): (.*)")
_ITEM: Final = re.compile(r"\.([0-9]+)(?=\.|$)")

Part = TypeVar("Part", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What every custom resource has. `raw`: the object as it was read, status included."""

    name: str
    namespace: str
    uid: str
    generation: int
    created_at_us: int
    deleting: bool
    finalizers: tuple[str, ...]
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    raw: Mapping[str, Any]

    @property
    def paused(self) -> bool:
        """Whether an annotation asks to leave it alone."""
        return self.annotations.get(PAUSED) == "true"


def metadata_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of Declared. Raises InvalidArgument that names the one that is not right."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        raise InvalidArgument(f"metadata: expected an object, got {kind_of(metadata)}")
    created = metadata.get("creationTimestamp")
    created_at_us = instant_of(created) if isinstance(created, str) else None
    if created_at_us is None:
        raise InvalidArgument(f"metadata.creationTimestamp: expected a time, got {kind_of(created)}")
    for field, kind in (("name", str), ("namespace", str), ("uid", str), ("generation", int)):
        if not isinstance(found := metadata.get(field), kind):
            raise InvalidArgument(f"metadata.{field}: expected {kind.__name__}, got {kind_of(found)}")
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "generation": metadata["generation"],
        "created_at_us": created_at_us,
        "deleting": "deletionTimestamp" in metadata,
        "finalizers": tuple(metadata.get("finalizers") or ()),
        "annotations": metadata.get("annotations") or {},
        "labels": metadata.get("labels") or {},
        "raw": obj,
    }


def spec_of(model: type[Part], obj: Mapping[str, Any]) -> Part:
    """The object's spec. Raises InvalidArgument that names the field and what is allowed."""
    try:
        return model.model_validate(obj.get("spec"))
    except ValidationError as failure:
        faults = [_placed(explain(model, fault)) for fault in failure.errors(include_url=False)]
        raise InvalidArgument(f"{faults[0]['field']}: {faults[0]['message']}", errors=faults) from None


def _placed(fault: dict[str, str]) -> dict[str, str]:
    """The field as `kubectl explain` takes it. A check of a whole part tells which."""
    field, message = _ITEM.sub(r"[\1]", fault["field"]), fault["message"]
    if named := _NAMED.fullmatch(message):
        field, message = f"{field}.{named[1]}", named[2]
    return {"field": "spec." + field.removeprefix(".") if field else "spec", "message": message}


def status_of(model: type[Part], obj: Mapping[str, Any]) -> Part:
    """The object's status; an empty one where it can't be read, for it is written anew anyway."""
    try:
        return model.model_validate(obj.get("status") or {})
    except ValidationError:
        return model()
