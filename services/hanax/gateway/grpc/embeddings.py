"""GenerateEmbedding."""

from __future__ import annotations

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.resources.names import AUTO
from hanax.gateway.calls import Call
from hanax.gateway.embedding_requests import EmbeddingRequest
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.words import LONG_TEXTS, PURPOSE
from hanax.gateway.models.generation import Generation
from hanax.gateway.requests import parse_request
from hanax.gateway.vectors import float32_le


def embedding_methods(generation: Generation) -> Methods:
    async def answer(call: Call, question: pb.GenerateEmbeddingRequest) -> pb.GenerateEmbeddingResponse:
        made = await generation.at_once(call, _request(question))
        return pb.GenerateEmbeddingResponse(
            vectors=pb.Vectors(dimension=made.vectors.shape[1], float32_le=float32_le(made.vectors)),
            model=made.model.name,
            model_version=made.version,
            tokens=made.tokens or (),
            total_tokens=made.total_tokens,
            truncated=made.truncated,
            split=made.split,
        )

    return {"GenerateEmbedding": Unary(pb.GenerateEmbeddingRequest, answer, changes=True)}


def _request(question: pb.GenerateEmbeddingRequest) -> EmbeddingRequest:
    return parse_request(
        EmbeddingRequest,
        {
            "text": list(question.texts),
            "model": question.model or AUTO,
            "collection": question.collection or None,
            "purpose": PURPOSE.read(question.purpose, "purpose"),
            "long_texts": LONG_TEXTS.read(question.long_texts, "long_texts"),
            "dimensions": question.dimensions or None,
            "normalize": question.normalize if question.HasField("normalize") else True,
            "urgent": question.urgent,
            "batch_size": question.batch_size or None,
        },
    )
