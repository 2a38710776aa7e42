"""/api/v1/embeddings, /external/{model}/embed and /external/status."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.bodies import read_request
from hanax.gateway.embedding_requests import EmbeddingRequest, ModelEmbeddingRequest
from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.models.embedding import Embedded
from hanax.gateway.models.generation import Generation
from hanax.gateway.models.registry import Models
from hanax.gateway.models.status import model_statuses
from hanax.gateway.renderings.models import render_embedded, render_status
from hanax.gateway.rest.accepted import LATER, accepted
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.etags import tagged
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.gateway.schemas import models as model_schemas
from hanax.gateway.schemas.envelopes import Envelope


def embedding_routes(generation: Generation) -> APIRouter:
    router = APIRouter(prefix="/api/v1/embeddings", tags=["embeddings"], responses=ERRORS)

    @router.post(
        "/generate",
        response_model=Envelope[model_schemas.Embeddings],
        responses=LATER,
        openapi_extra=json_body(
            EmbeddingRequest,
            one_text={"text": "how do I compute a checksum?"},
            several={"text": ["first", "second"], "model": "auto", "batch_size": 32},
            for_a_search={"text": "how do I compute a checksum?", "purpose": "query", "collection": "docs"},
        ),
    )
    async def generate(request: Request) -> Response:
        """Embed texts, now or as a job, as the model's pattern says.

        What a model does not read of a long text is named under truncated; see long_texts.
        """
        asked = await read_request(request, EmbeddingRequest)
        return _answer(request, await generation.generate(call_of(request), asked))

    return router


def external_routes(generation: Generation, models: Models) -> APIRouter:
    router = APIRouter(prefix="/external", tags=["models"], responses=ERRORS)

    @router.post(
        "/{model:path}/embed",
        response_model=Envelope[model_schemas.Embeddings],
        responses=LATER,
        openapi_extra=json_body(
            ModelEmbeddingRequest,
            one_text={"text": "how do I compute a checksum?"},
            urgent={"text": ["first", "second"], "urgent": True},
        ),
    )
    async def embed(request: Request, model: str) -> Response:
        """Embed texts by one model, wherever it runs. 404 model_not_found."""
        asked = await read_request(request, ModelEmbeddingRequest)
        return _answer(request, await generation.by_model(call_of(request), model, asked.text, asked))

    @router.get("/status", response_model=Envelope[model_schemas.ModelStatuses])
    async def status(request: Request) -> Response:
        """Every model with its endpoints, as the gateway that answers knows them."""
        return tagged(request, {"models": [render_status(one) for one in model_statuses(models)]})

    return router


def _answer(request: Request, made: Embedded | Queued) -> Response:
    return accepted(request, made) if isinstance(made, Queued) else answer(request, render_embedded(made))
