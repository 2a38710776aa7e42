"""What answers of models look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Embeddings(BaseModel):
    embeddings: Annotated[list[list[float]], Field(description="one per text, in order")]
    model: str
    model_version: Annotated[str | None, Field(description="other when the model's vectors may be")]
    dimension: int
    tokens: Annotated[
        list[int] | None, Field(description="tokens read of each text; null where the model does not tell")
    ]
    total_tokens: Annotated[int, Field(description="of texts that were not known from before")]
    truncated: Annotated[list[int], Field(description="indexes of texts read in part")]
    split: Annotated[list[int], Field(description="indexes of texts read in parts")]


class RerankedText(BaseModel):
    text: str


class RankedDocument(BaseModel):
    index: Annotated[int, Field(description="of the document in the request")]
    relevance_score: Annotated[float, Field(description="more is better; its range is the model's own")]


class RerankedDocument(RankedDocument):
    document: Annotated[RerankedText | None, Field(description="where return_documents asks for it")] = None


class Ranking(BaseModel):
    model: str
    results: Annotated[list[RankedDocument], Field(description="the best first")]


class RerankedDocuments(BaseModel):
    model: str
    results: Annotated[list[RerankedDocument], Field(description="the best first")]


class EndpointFailure(BaseModel):
    code: str
    message: str
    at: datetime


class ModelEndpoint(BaseModel):
    address: str
    weight: float
    state: Annotated[
        Literal["closed", "open", "half_open", "ejected"],
        Field(description="of its circuit breaker: closed is well; ejected: others are asked first"),
    ]
    inflight: int
    latency_ms: float | None
    error_rate: float
    resting_s: Annotated[float, Field(description="how long it asked to be left alone, from now")]
    last_failure: EndpointFailure | None
    checked_at: datetime | None


class ModelStatus(BaseModel):
    model: str
    version: str | None
    health: Annotated[
        Literal["healthy", "degraded", "unavailable", "unknown"],
        Field(description="degraded: some endpoints are not well; unknown: none was asked yet"),
    ]
    external: Annotated[bool, Field(description="somebody else runs it")]
    protocol: Literal["grpc", "openai", "tei", "cohere", "ollama"]
    pattern: Literal["real_time", "hybrid", "bulk_only"]
    dimension: int
    max_tokens: int
    load_balancing: Literal["round_robin", "least_connections", "weighted", "health_based"]
    waiting: Annotated[int, Field(description="requests that wait for their turn")]
    endpoints: list[ModelEndpoint]


class ModelStatuses(BaseModel):
    models: list[ModelStatus]
