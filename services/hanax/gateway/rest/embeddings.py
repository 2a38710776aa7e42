"""/api/v1/embeddings."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.embedding import Embedding
from hanax.gateway.requests import EmbeddingRequest
from hanax.gateway.rest import schemas
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.bodies import read_request
from hanax.gateway.rest.openapi import ERRORS, json_body


def embedding_routes(embedding: Embedding) -> APIRouter:
    router = APIRouter(prefix="/api/v1/embeddings", tags=["embeddings"], responses=ERRORS)

    @router.post(
        "/generate",
        response_model=schemas.Envelope[schemas.Embeddings],
        openapi_extra=json_body(
            EmbeddingRequest,
            one_text={"text": "how do I compute a checksum?"},
            several={"text": ["first", "second"], "model": "auto", "batch_size": 32},
        ),
    )
    async def generate(request: Request) -> Response:
        """Embed texts. What a model does not read of a long text is named under truncated."""
        asked = await read_request(request, EmbeddingRequest)
        made = await embedding.generate(call_of(request), asked)
        return answer(
            request,
            {
                "embeddings": made.vectors,
                "model": made.model,
                "dimension": made.vectors.shape[1],
                "tokens": made.tokens,
                "truncated": made.truncated,
            },
        )

    return router
