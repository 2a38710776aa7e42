"""A real embedder whose vectors carry no meaning, but words in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hanax.core.model_routes import ModelRoute
from tests.integration.embedder_process import EmbedderProcess
from tests.integration.waiting import wait_until

HASH_MODEL: Final = "hash-384"


@contextmanager
def running_hash_embedder() -> Iterator[ModelRoute]:
    """The route to it."""
    embedder = EmbedderProcess(embedder_backend="hash")
    try:
        wait_until("the embedder", embedder.is_serving)
        yield ModelRoute(name=HASH_MODEL, dimension=384, max_tokens=8_192, endpoints=(embedder.address,))
    finally:
        embedder.end()
