"""The cross-encoder of the local stack, as its gateways are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from hanax.core.served_names import served_name

_DECLARED: Final = "HANAX_RERANK_MODELS"


def rerank_variables(environment: Mapping[str, str], model: str, embedder: str) -> dict[str, str]:
    """`model`: of HANAX_EMBEDDER_RERANK_MODEL; empty: none. `embedder`: host:port of who serves it.

    It comes beside those that the environment declares. What can't be read of them is left as it is: the
    gateway says what is wrong with it.
    """
    if not model:
        return {}
    text = environment.get(_DECLARED, "").strip()
    try:
        declared = orjson.loads(text) if text else []
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(declared, list):
        return {}
    name = served_name(model)
    ours = {"name": name, "urls": [f"grpc://{embedder}"], "protocol": "embedder"}
    return {_DECLARED: orjson.dumps([*declared, ours]).decode()}
