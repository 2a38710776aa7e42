"""What is around answers of REST, for the OpenAPI document. Answers are rendered without these models."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

Data = TypeVar("Data")

NextCursor = Annotated[str | None, Field(description="null on the last page")]


class Envelope(BaseModel, Generic[Data]):
    """Every answer."""

    success: Literal[True]
    data: Data
    error: None
    request_id: str
    processing_time_ms: float
    protocol: Literal["rest"]
    cached: bool


class ErrorBody(BaseModel):
    """`code` is stable; `type` is its class name; `details` are for programs."""

    code: Annotated[str, Field(examples=["dimension_mismatch"])]
    type: Annotated[str, Field(examples=["DimensionMismatch"])]
    message: Annotated[str, Field(examples=["vector: collection 'docs' takes 384 numbers, got 3"])]
    path: Annotated[str, Field(examples=["/api/v1/vectors/search"])]
    details: Annotated[dict[str, Any], Field(examples=[{"expected": 384, "got": 3}])]


class ErrorEnvelope(BaseModel):
    """Every refusal. 429 and 503 carry Retry-After."""

    success: Literal[False]
    data: None
    error: ErrorBody
    request_id: str
    processing_time_ms: float
    protocol: Literal["rest"]
    cached: bool
