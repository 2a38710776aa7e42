"""What answers of the cache and of health look like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class CacheRate(BaseModel):
    hits: int
    misses: int
    hit_rate: Annotated[float | None, Field(description="hits of all look-ups; null before the first")]


class CacheStats(CacheRate):
    backend: Literal["memory", "redis", "off"]
    state: Annotated[str, Field(description="ok, or why the store is away")]
    keeps_searches: Annotated[bool, Field(description="answers of searches and counts are kept")]
    entries: Annotated[int | None, Field(description="keys in the store; null when it is away")]
    bytes: Annotated[int | None, Field(description="what the store holds; null when it is away")]
    operations: dict[str, CacheRate]
    frequent_requests: Annotated[int, Field(description="requests that came back, which warming asks again")]


class CacheWarmed(BaseModel):
    asked: Annotated[int, Field(description="requests whose answers are kept now")]
    failed: int


class CacheCleared(BaseModel):
    entries: Annotated[int, Field(description="how many there were")]


class Health(BaseModel):
    status: Literal["ok"]
    version: Annotated[str, Field(examples=["0.1.0"])]


class DatabaseHealth(BaseModel):
    """Without a metadata database `status` is all there is. latency_ms: of one question."""

    status: Literal["ok", "not_configured"]
    reachable: bool | None = None
    dialect: Literal["postgresql", "sqlite"] | None = None
    latency_ms: float | None = None
    revision: Annotated[str | None, Field(description="of its schema", examples=["0001_operations"])] = None
    pool_in_use: int | None = None
    pool_size: int | None = None
    error: None = None


class Ready(BaseModel):
    routing: str
    nodes: dict[str, str]
    models: dict[str, str]
