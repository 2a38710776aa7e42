"""ExternalModel: an embedding model that runs elsewhere, or that is to be run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hanax.core.limits import MAX_DIMENSION
from hanax.core.resources import model_rules as rules
from hanax.core.resources.collections import StorageClassName
from hanax.core.resources.conditions import Condition, Phase
from hanax.core.resources.manifests import SpecPart, StatusPart, checked_by, fixed
from hanax.core.resources.objects import Declared, metadata_of, spec_of, status_of
from hanax.core.resources.quantities import StorageSize
from hanax.core.resources.scheduling import Gpu, Resources

MAX_HEADERS: Final = 32
MAX_SERVING_REPLICAS: Final = 100

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", max_length=253)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$", max_length=1_024)]


class Pattern(StrEnum):
    REAL_TIME = "real_time"
    HYBRID = "hybrid"
    BULK_ONLY = "bulk_only"


class Protocol(StrEnum):
    GRPC = "grpc"
    OPENAI = "openai"
    TEI = "tei"
    COHERE = "cohere"
    OLLAMA = "ollama"


class LoadBalancing(StrEnum):
    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"
    WEIGHTED = "weighted"
    HEALTH_BASED = "health_based"


class SecretKey(SpecPart):
    """A value in a Secret of the same namespace."""

    name: Name = Field(description="The Secret.")
    key: str = Field(
        "token",
        pattern=r"^[-._a-zA-Z0-9]+$",
        max_length=253,
        description="The key of its value in the Secret.",
    )


class Endpoint(SpecPart):
    """Where a model runs that is not run here."""

    url: str = Field(
        pattern=r"^(https?|grpcs?)://[^\s/?#@]+([/?#][^\s]*)?$",
        max_length=2_048,
        description="Base URL: https://host/v1 for openai, http://host:port for tei, cohere and ollama,"
        " grpc://host:port for grpc. No user and password in it.",
    )
    protocol: Protocol = Field(
        description="What is spoken there: grpc (this project's embedder), openai (and all that speak alike),"
        " tei, cohere or ollama."
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="What the model is called there. None given: as this object is called.",
    )
    auth_secret_ref: SecretKey | None = Field(
        None, description="The Secret that holds the token or API key. None given: none is sent."
    )
    headers: dict[str, HeaderValue] = Field(
        default_factory=dict,
        max_length=MAX_HEADERS,
        description="Headers of each request. No secrets: those are in authSecretRef.",
        json_schema_extra=checked_by(rules.NO_SECRETS, rules.HEADER_NAMES),
    )

    model_config = ConfigDict(json_schema_extra=checked_by(rules.URL_OF_GRPC, rules.URL_OF_HTTP))

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_endpoint(self):
            raise ValueError(problem)
        return self


class Autoscaling(SpecPart):
    """As many pods as there is work for."""

    min: int = Field(1, ge=1, le=MAX_SERVING_REPLICAS, description="Pods at least.")
    max: int = Field(ge=1, le=MAX_SERVING_REPLICAS, description="Pods at most.")
    target_queue: int = Field(
        32, ge=1, le=100_000, description="Texts waiting in each pod, on average, past which pods are added."
    )

    model_config = ConfigDict(json_schema_extra=checked_by(rules.MIN_UP_TO_MAX))

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_scaling(self):
            raise ValueError(problem)
        return self


class Cache(SpecPart):
    """A volume that keeps the model's files, so that a new pod does not fetch them again."""

    size: StorageSize = Field("10Gi", description="Size of the volume. It has to hold the model.")
    storage_class_name: StorageClassName | None = Field(
        None,
        description="The volume's storage class. More pods than one on several nodes need one that can be"
        " mounted by many. None given: what the operator is set to, or the cluster's default.",
    )

    model_config = ConfigDict(json_schema_extra=checked_by(rules.CACHE_GROWS, rules.CACHE_CLASS))


class Serve(SpecPart):
    """A model to run here, in embedder pods."""

    model: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^[^\s]+$",
        description="The model, by its name on the hub or by its path in the image or the cache.",
    )
    backend: Literal["torch", "hash"] | None = Field(
        None,
        description="What computes: torch (sentence-transformers), or hash (deterministic and without"
        " meaning, for trials). None given: torch.",
    )
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="What it computes on. None given: cuda where gpu is given, else cpu."
    )
    gpu: Gpu | None = Field(None, description="GPUs of each pod, and the nodes that have them.")
    replicas: int = Field(
        1,
        ge=0,
        le=MAX_SERVING_REPLICAS,
        description="Pods. With 0 the model is not served. With autoscaling, leave it out.",
    )
    autoscaling: Autoscaling | None = Field(
        None, description="As many pods as there is work for, in place of replicas."
    )
    cache: Cache | None = Field(
        None, description="A volume for the model's files. None given: each pod fetches them anew."
    )
    resources: Resources | None = Field(None, description="CPU and memory of each pod.")

    model_config = ConfigDict(
        json_schema_extra=checked_by(rules.GPU_FOR_CUDA, rules.NO_GPU_FOR_CPU, rules.REPLICAS_OR_AUTOSCALING)
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_serving(self):
            raise ValueError(problem)
        return self

    @property
    def on_gpu(self) -> bool:
        return self.gpu is not None


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
        3, ge=0, le=10, description="How often a request that failed is tried again, within its deadline."
    )
    weight: float = Field(
        1.0, ge=0.1, le=10, description="What it counts beside other endpoints, with loadBalancing weighted."
    )
    health_check_path: str = Field(
        "/health",
        pattern=r"^/[^\s]*$",
        max_length=1_024,
        description="Path below the endpoint's host that answers 2xx while it is well. Not used for grpc.",
    )
    load_balancing: LoadBalancing = Field(
        LoadBalancing.ROUND_ROBIN,
        description="How requests are spread over pods: round_robin, least_connections, weighted (by weight)"
        " or health_based (by latency and errors).",
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
