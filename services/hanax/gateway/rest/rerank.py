"""/v1/rerank, as clients of Cohere's and Jina's APIs, and of servers that speak alike, expect it."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.bodies import read_request
from hanax.gateway.models.reranking import Reranking
from hanax.gateway.renderings.models import render_reranked
from hanax.gateway.rerank_requests import RerankBody
from hanax.gateway.rest.answers import call_of
from hanax.gateway.rest.openai import OPENAI_ERRORS
from hanax.gateway.rest.openapi import json_body
from hanax.gateway.schemas import models as model_schemas


def rerank_routes(reranking: Reranking) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["models"], responses=OPENAI_ERRORS)

    @router.post(
        "/rerank",
        response_model=model_schemas.RerankedDocuments,
        openapi_extra=json_body(
            RerankBody,
            texts={
                "model": "mini",
                "query": "how do I compute a checksum?",
                "documents": ["Return a digest of a file.", "Draw a circle."],
            },
            the_best_with_its_text={
                "model": "mini",
                "query": "how do I compute a checksum?",
                "documents": [{"text": "Return a digest of a file."}, {"text": "Draw a circle."}],
                "top_n": 1,
                "return_documents": True,
            },
        ),
    )
    async def rerank(request: Request) -> Response:
        """Put texts into order by how well they fit a query, which a cross-encoder reads with each."""
        body = await read_request(request, RerankBody)
        asked = body.asked()
        shown = render_reranked(await reranking.rerank(call_of(request), asked))
        if body.return_documents:
            for result in shown["results"]:
                result["document"] = {"text": asked.documents[result["index"]]}
        return Response(orjson.dumps(shown), media_type="application/json")

    return router
