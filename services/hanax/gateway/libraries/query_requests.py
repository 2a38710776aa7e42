"""What a user may ask of a library's chunks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SkipValidation

from hanax.core.limits import MAX_SEARCH_LIMIT
from hanax.core.specs import ModelName
from hanax.gateway.query_fields import Mmr, Part, Threshold
from hanax.gateway.requests import FilterField, Request, VectorField

# A cross-encoder reads each of them with the query.
MAX_READ_TOGETHER = 200

_OnFailure = Annotated[
    Literal["error", "skip"],
    Field(description="error: the query fails with it; skip: the nearest are answered, and `steps` says why"),
]


class MmrRerank(Mmr):
    """Maximal marginal relevance: results that are near to the query and unlike one another."""

    type: Literal["mmr"] = "mmr"
    on_failure: _OnFailure = "error"


class CrossEncoderRerank(Part):
    """By a model that reads the query and a text together."""

    type: Literal["cross_encoder"] = "cross_encoder"
    model: Annotated[ModelName, Field(description="one of HANAX_RERANK_MODELS")]
    candidates: Annotated[
        int | None,
        Field(ge=1, le=MAX_READ_TOGETHER, description="nearest chunks that it reads; none: 4 times k"),
    ] = None
    on_failure: _OnFailure = "error"


class StepRequest(Part):
    """Limits of one step."""

    timeout_s: Annotated[float | None, Field(gt=0, le=120, description="of one try")] = None
    retries: Annotated[int | None, Field(ge=0, le=5, description="after the first try")] = None


class StepsRequest(Part):
    """Limits of steps; those that are left out have the usual ones."""

    embed: StepRequest = StepRequest()
    retrieve: StepRequest = StepRequest()
    rerank: StepRequest = StepRequest()


class QueryRequest(Request):
    """The chunks of a library that are nearest to a text or to a vector, best first."""

    text: Annotated[SkipValidation[str | None], Field(description="embedded by the library's model")] = None
    embedding: VectorField = None
    k: Annotated[int, Field(ge=1, le=MAX_SEARCH_LIMIT, description="results at most")] = 10
    filter: FilterField = None
    min_score: Threshold = None
    exact: Annotated[bool, Field(description="compare every vector")] = False
    include_embeddings: bool = False
    rerank: Annotated[
        MmrRerank | CrossEncoderRerank | None,
        Field(discriminator="type", description="in which order results come, in place of nearness"),
    ] = None
    steps: StepsRequest = StepsRequest()
