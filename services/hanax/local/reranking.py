"""The cross-encoder of the local stack, as its gateways are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from hanax.core.errors import InvalidArgument
from hanax.core.served_names import served_name
from hanax.core.specs import ModelName

_DECLARED: Final = "HANAX_RERANK_MODELS"


def check_rerank_model(environment: Mapping[str, str], model: str) -> None:
    """Raises InvalidArgument for one by whose name gateways could not call it."""
    if not model:
        return
    name = served_name(model)
    try:
        TypeAdapter(ModelName).validate_python(name)
    except ValidationError:
        raise InvalidArgument(
            f"HANAX_EMBEDDER_RERANK_MODEL: it would be called {name!r}: expected a name, or a folder with "
            "one, of 1 to 128 letters, digits, '.', '_', '/' and '-', not at either end"
        ) from None
    declared = _declared(environment) or []
    if any(isinstance(other, dict) and other.get("name") == name for other in declared):
        raise InvalidArgument(
            f"HANAX_EMBEDDER_RERANK_MODEL: {_DECLARED} has another model that is called {name!r}"
        )


def rerank_variables(environment: Mapping[str, str], model: str, embedder: str) -> dict[str, str]:
    """`model`: of HANAX_EMBEDDER_RERANK_MODEL; empty: none. `embedder`: host:port of who serves it.

    It comes beside those that the environment declares. What can't be read of them is left as it is: the
    gateway says what is wrong with it.
    """
    declared = _declared(environment)
    if not model or declared is None:
        return {}
    ours = {"name": served_name(model), "urls": [f"grpc://{embedder}"], "protocol": "embedder"}
    return {_DECLARED: orjson.dumps([*declared, ours]).decode()}


def _declared(environment: Mapping[str, str]) -> list[Any] | None:
    """None for what can't be read."""
    text = environment.get(_DECLARED, "").strip()
    try:
        found = orjson.loads(text) if text else []
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None
