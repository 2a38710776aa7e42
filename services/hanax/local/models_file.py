"""The models of one machine, as a YAML file declares them: ExternalModels, as they are applied to a cluster.

Each document is one object or a list of them; of its metadata, the name counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hanax.core.errors import InvalidArgument
from hanax.core.json_values import kind_of
from hanax.core.resources.models import ExternalModelSpec
from hanax.core.resources.names import API_VERSION, AUTO, EXTERNAL_MODEL
from hanax.core.resources.objects import spec_of

MAX_BYTES: Final = 1_048_576
MAX_MODELS: Final = 256

# As the API server has names of objects.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class DeclaredModel:
    name: str
    spec: ExternalModelSpec


def read_models(path: Path) -> tuple[DeclaredModel, ...]:
    """In the order of the file. Raises InvalidArgument that names the model and the field, or OSError."""
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raise InvalidArgument(f"{path}: expected at most {MAX_BYTES} bytes, got {len(raw)}")
    try:
        return _models(raw)
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{path} is no YAML: {error}") from None
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}: {error.message}", **error.details) from None


def _models(raw: bytes) -> tuple[DeclaredModel, ...]:
    found: dict[str, DeclaredModel] = {}
    for number, obj in enumerate(_objects(raw)):
        model = _model(obj, number)
        if model.name in found:
            raise InvalidArgument(f"model {model.name!r} is declared twice")
        found[model.name] = model
        if len(found) > MAX_MODELS:
            raise InvalidArgument(f"expected at most {MAX_MODELS} models")
    return tuple(found.values())


def _objects(raw: bytes) -> Iterator[object]:
    for document in yaml.safe_load_all(raw):
        if isinstance(document, list):
            yield from document
        elif document is not None:
            yield document


def _model(obj: object, number: int) -> DeclaredModel:
    place = f"model {number + 1}"
    if not isinstance(obj, dict):
        raise InvalidArgument(f"{place}: expected an object, got {kind_of(obj)}")
    for field, expected in (("apiVersion", API_VERSION), ("kind", EXTERNAL_MODEL.kind)):
        if obj.get(field) != expected:
            raise InvalidArgument(f"{place}: {field}: expected {expected}, got {obj.get(field)!r}")
    name = _name_of(obj)
    if name is None:
        raise InvalidArgument(f"{place}: metadata.name: expected a name of a-z, 0-9, '-' and '.'")
    if name == AUTO:
        raise InvalidArgument(
            f"{place}: metadata.name: {AUTO!r} is how requests leave the choice open; expected another"
        )
    try:
        return DeclaredModel(name, spec_of(ExternalModelSpec, obj))
    except InvalidArgument as error:
        raise InvalidArgument(f"model {name!r}: {error.message}", **error.details) from None


def _name_of(obj: Mapping[str, Any]) -> str | None:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None
