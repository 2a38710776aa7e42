"""EmbedderService over gRPC: checks a request, lets its texts be embedded, writes the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import grpc
import numpy as np

from citadel.vector.v1 import embedder_pb2, embedder_pb2_grpc
from hanax.core.errors import (
    Cancelled,
    InvalidArgument,
    InvalidText,
    ModelNotFound,
    TextTooLong,
    Unavailable,
)
from hanax.core.limits import MAX_EMBED_TEXTS, MAX_TEXT_BYTES
from hanax.embedder.backends import ModelInfo, Vectors
from hanax.embedder.text_queue import TextQueue

# A vector shorter than this is kept as it is: dividing by its length would only magnify noise.
_SMALLEST_NORM: Final = 1e-12


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Answers Unavailable until `serve` hands it the loaded model."""

    def __init__(self) -> None:
        self._served: tuple[ModelInfo, TextQueue] | None = None

    @property
    def is_ready(self) -> bool:
        return self._served is not None

    def serve(self, model: ModelInfo, queue: TextQueue) -> None:
        self._served = model, queue

    def Embed(
        self, request: embedder_pb2.EmbedRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.EmbedResponse:
        model, queue = self._loaded()
        if request.model != model.name:
            raise ModelNotFound(
                f"no model {request.model!r} is served here; served: {model.name}",
                model=request.model,
                served=[model.name],
            )
        check_texts(request.texts)
        submitted = queue.submit(request.texts, context.time_remaining())
        # Called when the call ends in whatever way, and not at all when it has ended already.
        if not context.add_callback(lambda: queue.abandon(submitted)):
            queue.abandon(submitted)
            raise Cancelled("the caller went away")
        embedded = queue.wait(submitted)
        vectors = unit_vectors(embedded.vectors) if request.normalize else embedded.vectors
        return embedder_pb2.EmbedResponse(
            model=model.name,
            dimension=model.dimension,
            float32_le=vectors.astype("<f4", copy=False).tobytes(),
            tokens=[tokens.count for tokens in embedded.tokens],
            truncated=[at for at, tokens in enumerate(embedded.tokens) if tokens.truncated],
        )

    def ListModels(
        self, request: embedder_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> embedder_pb2.ListModelsResponse:
        model, _ = self._loaded()
        return embedder_pb2.ListModelsResponse(
            models=[
                embedder_pb2.ServedModel(
                    name=model.name,
                    dimension=model.dimension,
                    max_tokens=model.max_tokens,
                    backend=model.backend,
                    semantic=model.semantic,
                )
            ]
        )

    def _loaded(self) -> tuple[ModelInfo, TextQueue]:
        if self._served is None:
            raise Unavailable("the model is being loaded")
        return self._served


def check_texts(texts: Sequence[str]) -> None:
    """Raises InvalidArgument for their number, InvalidText and TextTooLong for one of them."""
    if not 1 <= len(texts) <= MAX_EMBED_TEXTS:
        raise InvalidArgument(
            f"expected 1 to {MAX_EMBED_TEXTS} texts in a request, got {len(texts)}",
            limit=MAX_EMBED_TEXTS,
        )
    for at, text in enumerate(texts):
        if not text.strip():
            raise InvalidText(
                f"text {at} is empty: expected at least one character that is not a space", index=at
            )
        size = len(text.encode())
        if size > MAX_TEXT_BYTES:
            raise TextTooLong(
                f"text {at} has {size} bytes in UTF-8: expected at most {MAX_TEXT_BYTES}",
                index=at,
                limit=MAX_TEXT_BYTES,
            )


def unit_vectors(vectors: Vectors) -> Vectors:
    """Each row of float32 (n, dimension) divided by its Euclidean length."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Vectors = vectors / np.maximum(norms, np.float32(_SMALLEST_NORM))
    return units
