"""/v1/embeddings and /v1/models, as clients of OpenAI's API expect them.

Answered at once: such a client can't be told to come back for a job, so a hybrid model takes any number of
texts here, and one that is bulk_only is refused.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SkipValidation
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import InvalidArgument, InvalidText, TextTooLong
from hanax.core.limits import MAX_BATCH_POINTS, MAX_DIMENSION
from hanax.gateway.bodies import read_request
from hanax.gateway.models.embedding import Embedded
from hanax.gateway.models.generation import Generation
from hanax.gateway.models.registry import Model, Models
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.rest.answers import call_of
from hanax.gateway.rest.etags import tagged_bare
from hanax.gateway.rest.openapi import json_body
from hanax.gateway.texts import parse_texts
from hanax.gateway.vectors import float32_le


class OpenAIEmbeddingRequest(BaseModel):
    """Texts to embed. Fields that are not named here are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    input: Annotated[
        SkipValidation[str | list[str]],
        Field(description=f"one text, or 1 to {MAX_BATCH_POINTS}; lists of tokens are refused"),
    ]
    model: Annotated[str, Field(description="name of a model; auto: the first", examples=["auto"])]
    encoding_format: Annotated[Literal["float", "base64"] | None, Field(description="null: float")] = "float"
    dimensions: Annotated[int | None, Field(ge=1, le=MAX_DIMENSION)] = None


class OpenAIEmbedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: Annotated[list[float] | str, Field(description="numbers, or little-endian float32 in base64")]


class OpenAIUsage(BaseModel):
    prompt_tokens: Annotated[int, Field(description="of texts that were not known from before")]
    total_tokens: int


class OpenAIEmbeddings(BaseModel):
    object: Literal["list"]
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage


class OpenAIModel(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModels(BaseModel):
    object: Literal["list"]
    data: list[OpenAIModel]


class OpenAIErrorBody(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(BaseModel):
    error: OpenAIErrorBody


OPENAI_BODIES: Final[list[type[BaseModel]]] = [OpenAIEmbeddingRequest]

OPENAI_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": OpenAIError, "description": description}
    for status, description in (
        ("4XX", "The request is refused; see error.code"),
        ("5XX", "The request failed; 503 is worth a retry"),
        (400, "A field is wrong; see error.param"),
    )
}


def openai_routes(generation: Generation, models: Models) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["openai"], responses=OPENAI_ERRORS)

    @router.post(
        "/embeddings",
        response_model=OpenAIEmbeddings,
        openapi_extra=json_body(
            OpenAIEmbeddingRequest,
            one_text={"input": "how do I compute a checksum?", "model": "auto"},
            base64={"input": ["first", "second"], "model": "auto", "encoding_format": "base64"},
        ),
    )
    async def embed(request: Request) -> Response:
        """Embed texts. Vectors have length 1, as OpenAI's have."""
        asked = await read_request(request, OpenAIEmbeddingRequest)
        texts = _texts(asked.input)
        made = await generation.now(call_of(request), asked.model, texts, Wanted(dimensions=asked.dimensions))
        return _json(_render(made, asked.encoding_format))

    @router.get("/models", response_model=OpenAIModels)
    async def list_models(request: Request) -> Response:
        """The models that can be named."""
        shown = {"object": "list", "data": [_render_model(model) for model in models.all()]}
        return tagged_bare(request, shown)

    @router.get("/models/{name}", response_model=OpenAIModel)
    async def get_model(request: Request, name: str) -> Response:
        """One of them."""
        return tagged_bare(request, _render_model(models.get(name)))

    return router


def _render_model(model: Model) -> dict[str, Any]:
    return {"id": model.route.name, "object": "model", "created": 0, "owned_by": "hana-x-vector"}


def _texts(given: object) -> list[str]:
    """Raises InvalidArgument for tokens, InvalidText and TextTooLong, all of `input`."""
    first = given[0] if isinstance(given, list) and given else None
    if isinstance(first, int | list):
        message = "input: expected texts, got tokens: other models have other tokens"
        raise InvalidArgument(message, errors=[{"field": "input", "message": message}])
    try:
        return parse_texts(given)
    except (InvalidText, TextTooLong) as error:
        raise type(error)(error.message.replace("text", "input", 1), **error.details) from None


def _render(made: Embedded, encoding: str | None) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(float32_le(vector)).decode()
                if encoding == "base64"
                else vector,
            }
            for index, vector in enumerate(made.vectors)
        ],
        "model": made.model.name,
        "usage": {"prompt_tokens": made.total_tokens, "total_tokens": made.total_tokens},
    }


def _json(shown: dict[str, Any]) -> Response:
    return Response(orjson.dumps(shown, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
