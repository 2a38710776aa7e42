"""Models, and texts embedded by them, through the gateway."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hanax.cli.api import Api
from hanax.core.errors import ModelNotFound

_STATUS: Final = "/external/status"
_GENERATE: Final = "/api/v1/embeddings/generate"
# RFC 9111: made anew.
_FRESH: Final = {"Cache-Control": "no-cache, no-store"}


class Embedded(NamedTuple):
    """vectors: float32[texts, dimension]. tokens: that the model read; 0: it does not tell."""

    vectors: npt.NDArray[np.float32]
    tokens: int


async def list_models(api: Api) -> list[dict[str, Any]]:
    """As GET /external/status tells them."""
    return list((await api.get(_STATUS))["models"])


async def find_model(api: Api, name: str) -> dict[str, Any]:
    """Raises ModelNotFound."""
    models = await list_models(api)
    for one in models:
        if one["model"] == name:
            return one
    there = ", ".join(one["model"] for one in models) or "none"
    raise ModelNotFound(f"there is no model {name!r}; there is: {there}", model=name)


async def embed(api: Api, model: str, texts: list[str]) -> Embedded:
    """Now, and by the model itself: not from a cache, and not as a job."""
    told = await api.post(_GENERATE, {"text": texts, "model": model, "urgent": True}, _FRESH)
    return Embedded(np.array(told["embeddings"], dtype=np.float32), told["total_tokens"])
