"""Which models a process serves: HANAX_EMBEDDER_MODELS, or the one that HANAX_EMBEDDER_MODEL names.

And the cross-encoder of HANAX_EMBEDDER_RERANK_MODEL beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hanax.core.errors import InvalidArgument
from hanax.core.faults import explain
from hanax.core.resources.names import AUTO
from hanax.core.served_names import served_name
from hanax.core.settings import EmbedderSettings
from hanax.embedder.backends import Task
from hanax.embedder.backends.hash_backend import NAME as HASH_NAME
from hanax.embedder.backends.opening import BackendChoice

# Each has a queue, threads and series of its own, loaded or not.
MAX_MODELS: Final = 64

# Of an entry "name=path;backend;precision;lazy", after the path.
_BACKENDS: Final = ("auto", "onnx", "torch", "hash")
_PRECISIONS: Final = ("float32", "bfloat16", "int8")
_LAZY: Final = "lazy"


@dataclass(frozen=True)
class DeclaredModel:
    """`lazy`: loaded when it is first asked for; else at start, where the memory allows."""

    name: str
    choice: BackendChoice
    lazy: bool


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=256)]
    path: Annotated[str, Field(min_length=1, max_length=1_024)]
    backend: Literal["auto", "onnx", "torch", "hash"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    lazy: bool = False


def declared_models(settings: EmbedderSettings, threads: int) -> list[DeclaredModel]:
    """1 or more, of different names. `threads`: what a batch computes on.

    Raises InvalidArgument for what the variables may not be, and for a model called `auto`.
    """

    def declared(entry: _Entry, task: Task | None) -> DeclaredModel:
        cache_dir = settings.model_cache_dir
        choice = BackendChoice(entry.path, entry.backend, entry.precision, threads, cache_dir, task)
        return DeclaredModel(entry.name, choice, entry.lazy)

    text = settings.embedder_models.strip()
    entries = _from_text(text) if text else [_single(settings)]
    _check_names([entry.name for entry in entries], text)
    models = [declared(entry, None if text else Task.EMBED) for entry in entries]
    if path := settings.embedder_rerank_model:
        name = served_name(path)
        if name == AUTO or name in (entry.name for entry in entries):
            raise InvalidArgument(
                f"HANAX_EMBEDDER_RERANK_MODEL: {name!r} is the name of another model: expected a folder of "
                "another name"
            )
        models.append(declared(_entry({"name": name, "path": path}), Task.RERANK))
    return models


def _check_names(names: Sequence[str], text: str) -> None:
    """`text`: of HANAX_EMBEDDER_MODELS. Raises InvalidArgument."""
    place = "HANAX_EMBEDDER_MODELS" if text else "HANAX_EMBEDDER_NAME or HANAX_EMBEDDER_MODEL"
    if len(names) > MAX_MODELS:
        raise InvalidArgument(
            f"HANAX_EMBEDDER_MODELS: expected at most {MAX_MODELS} models, got {len(names)}"
        )
    if AUTO in names:
        raise InvalidArgument(
            f"{place}: no model may be called {AUTO!r}, by which requests leave the choice open; "
            "expected another name"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidArgument(f"HANAX_EMBEDDER_MODELS: several models are called {', '.join(twice)}")


def _single(settings: EmbedderSettings) -> _Entry:
    model, backend = settings.embedder_model, settings.embedder_backend
    own = HASH_NAME if backend == "hash" else served_name(model)
    return _Entry(
        name=settings.embedder_name or own,
        path=model,
        backend=backend,
        precision=settings.embedder_precision,
    )


def _from_text(text: str) -> list[_Entry]:
    if not text.startswith("["):
        return [_entry(_from_words(words)) for words in text.split(",")]
    try:
        listed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"HANAX_EMBEDDER_MODELS is no JSON: {error}") from None
    if not listed:
        raise InvalidArgument("HANAX_EMBEDDER_MODELS: expected at least one model")
    return [_entry(fields) for fields in listed]


def _entry(fields: Any) -> _Entry:
    try:
        return _Entry.model_validate(fields)
    except ValidationError as error:
        fault = explain(_Entry, error.errors()[0])
        place = f"{fault['field']} of " if fault["field"] else ""
        raise InvalidArgument(
            f"HANAX_EMBEDDER_MODELS: {place}{orjson.dumps(fields).decode()[:200]}: {fault['message']}"
        ) from None


def _from_words(entry: str) -> dict[str, str | bool]:
    name, equals, rest = entry.strip().partition("=")
    path, *words = (word.strip() for word in rest.split(";"))
    if not equals or not name:
        raise InvalidArgument(
            "HANAX_EMBEDDER_MODELS: expected name=path;backend;precision;lazy separated by commas, "
            f"got {entry.strip()!r}"
        )
    fields: dict[str, str | bool] = {"name": name.strip(), "path": path}
    for word in words:
        if word in _BACKENDS:
            fields["backend"] = word
        elif word in _PRECISIONS:
            fields["precision"] = word
        elif word == _LAZY:
            fields["lazy"] = True
        else:
            expected = ", ".join((*_BACKENDS, *_PRECISIONS, _LAZY))
            raise InvalidArgument(
                f"HANAX_EMBEDDER_MODELS: {word!r} of model {name}: expected one of {expected}"
            )
    return fields
