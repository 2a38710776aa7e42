"""ExternalModel: an embedding model that runs elsewhere, or that is to be run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from hanax.core.limits import MAX_DIMENSION
from hanax.core.resources import model_rules as rules
from hanax.core.resources.conditions import Condition, Phase
from hanax.core.resources.manifests import SpecPart, StatusPart, checked_by, fixed
from hanax.core.resources.model_endpoints import Endpoint
from hanax.core.resources.objects import Declared, metadata_of, spec_of, status_of
from hanax.core.resources.serving import Serve


class Pattern(StrEnum):
    REAL_TIME = "real_time"
    HYBRID = "hybrid"
    BULK_ONLY = "bulk_only"


class LoadBalancing(StrEnum):
    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"
    WEIGHTED = "weighted"
    HEALTH_BASED = "health_based"


class CircuitBreaker(SpecPart):
    """When an endpoint that fails is left alone for a while."""

    failures: int = Field(5, ge=1, le=1_000, description="Failures in a row after which it is left alone.")
    open_seconds: int = Field(30, ge=1, le=3_600, description="How long, before one request tries it again.")


class RateLimit(SpecPart):
    """How much is asked of the model."""

    requests_per_second: float = Field(
        gt=0, le=1_000_000, description="Requests of each gateway, on average."
    )
    burst: int | None = Field(
        None, ge=1, le=1_000_000, description="Requests at once after a pause. None given: one second's."
    )


class ExternalModelSpec(SpecPart):
    """An embedding model: one that runs elsewhere (endpoint), or one to run here (serve)."""

    dimensions: int = Field(
        ge=1,
        le=MAX_DIMENSION,
        description="Numbers in each vector it makes. Fixed.",
        json_schema_extra=fixed("dimensions", rules.VECTORS_GO_BY_IT),
    )
    pattern: Pattern = Field(
        Pattern.REAL_TIME,
        description="real_time: texts are embedded at once. bulk_only: they are queued and answered with a"
        " job. hybrid: at once when they are urgent or at most 50, else queued.",
    )
    endpoint: Endpoint | None = Field(
        None, description="Where the model runs. Exactly one of endpoint and serve is given."
    )
    serve: Serve | None = Field(
        None, description="How the model is run here. Exactly one of endpoint and serve is given."
    )
    max_tokens: int = Field(
        8_192, ge=1, le=1_048_576, description="Tokens of a text that the model reads; the rest is cut off."
    )
    timeout_seconds: int = Field(30, ge=1, le=600, description="How long one request may take.")
    retry_attempts: int = Field(
        3,
        ge=0,
        le=10,
        description="How often a request that failed is tried again, within its deadline. Of a model that is"
        " run here, only the deadline counts.",
    )
    weight: float = Field(
        1.0,
        ge=0.1,
        le=10,
        description="Its share beside other models: a gateway sends it as many more requests at once.",
    )
    max_batch_texts: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Texts in one request at most. None given: what servers of its protocol take.",
    )
    hedge_after_ms: int | None = Field(
        None,
        ge=1,
        le=600_000,
        description="Milliseconds without an answer after which another endpoint is asked too, and the first"
        " answer counts. None given: never.",
    )
    health_check_path: str = Field(
        "/health",
        pattern=r"^/[^\s]*$",
        max_length=1_024,
        description="Path below the endpoint's host that answers 2xx while it is well. Not used for grpc.",
    )
    load_balancing: LoadBalancing = Field(
        LoadBalancing.ROUND_ROBIN,
        description="How requests are spread over endpoints or pods: round_robin, least_connections, weighted"
        " (by the endpoints' weights) or health_based (by latency and errors).",
    )
    circuit_breaker: CircuitBreaker = Field(
        CircuitBreaker(), description="When an endpoint that fails is left alone for a while."
    )
    rate_limit: RateLimit | None = Field(None, description="How much is asked of it. None given: no limit.")

    model_config = ConfigDict(json_schema_extra=checked_by(rules.ONE_OF))

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_spec(self):
            raise ValueError(problem)
        return self


class EndpointStatus(StatusPart):
    """One endpoint, as it was last tried."""

    url: str = Field(description="The endpoint.")
    healthy: bool = Field(description="Whether it answered well.")
    latency_ms: float | None = Field(
        None, ge=0, description="How long its answer took, in milliseconds. Absent without an answer."
    )
    checked_at: str | None = Field(
        None, description="When it was last tried.", json_schema_extra={"format": "date-time"}
    )


class LastFailure(StatusPart):
    """What went wrong last."""

    reason: str = Field(description="What, in one word for programs.")
    message: str = Field("", description="What, in a sentence for people.")
    time: str = Field(description="When.", json_schema_extra={"format": "date-time"})


class ExternalModelStatus(StatusPart):
    """What is so."""

    observed_generation: int = Field(0, ge=0, description="The metadata.generation this status is about.")
    phase: Phase | None = Field(None, description="The state in one word, for people.")
    conditions: tuple[Condition, ...] = Field(
        (), description="Ready, Progressing and Degraded, with reason and message."
    )
    endpoints: tuple[EndpointStatus, ...] = Field((), description="Every endpoint, as it was last tried.")
    last_failure: LastFailure | None = Field(None, description="What went wrong last.")
    replicas: int | None = Field(None, ge=0, description="Pods that there are.")
    ready_replicas: int | None = Field(None, ge=0, description="Pods that are ready.")
    selector: str | None = Field(None, description="Label selector of the model's pods.")


@dataclass(frozen=True, kw_only=True)
class Model(Declared):
    """An ExternalModel as it was read."""

    spec: ExternalModelSpec

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Model:
        """Raises InvalidArgument that names the field and what is allowed."""
        return cls(**metadata_of(obj), spec=spec_of(ExternalModelSpec, obj))

    @property
    def status(self) -> ExternalModelStatus:
        return status_of(ExternalModelStatus, self.raw)
