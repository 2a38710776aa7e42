"""Models, and texts embedded by them, through the gateway."""

from __future__ import annotations

from typing import Final

from hanax.core.errors import ModelNotFound
from hxp_vector_client import AsyncVectorClient
from hxp_vector_client.models import Embeddings, ModelStatus

# RFC 9111: made anew.
_FRESH: Final = {"Cache-Control": "no-cache, no-store"}


async def find_model(client: AsyncVectorClient, name: str) -> ModelStatus:
    """Raises ModelNotFound."""
    models = await client.models.status()
    for one in models:
        if one.model == name:
            return one
    there = ", ".join(one.model for one in models) or "none"
    raise ModelNotFound(f"there is no model {name!r}; there is: {there}", model=name)


async def embed(client: AsyncVectorClient, model: str, texts: list[str]) -> Embeddings:
    """Now, and by the model itself: not from a cache, and not as a job."""
    return await client.options(headers=_FRESH).embed(texts, model=model, urgent=True)
