"""Where an ExternalModel runs that is not run here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from hanax.core.resources import model_rules as rules
from hanax.core.resources.manifests import SpecPart, checked_by

MAX_HEADERS: Final = 32
MAX_ALTERNATIVES: Final = 16

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", max_length=253)]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^(https?|grpcs?)://[^\s/?#@]+([/?#][^\s]*)?$", max_length=2_048),
]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$", max_length=1_024)]


class Protocol(StrEnum):
    GRPC = "grpc"
    OPENAI = "openai"
    TEI = "tei"
    COHERE = "cohere"
    OLLAMA = "ollama"


class SecretKey(SpecPart):
    """A value in a Secret of the same namespace."""

    name: Name = Field(description="The Secret.")
    key: str = Field(
        "token",
        pattern=r"^[-._a-zA-Z0-9]+$",
        max_length=253,
        description="The key of its value in the Secret.",
    )


class AlternativeEndpoint(SpecPart):
    """Another place where the same model runs, and the same is spoken."""

    url: Url = Field(description="Base URL, as endpoint.url.")
    weight: float = Field(
        1.0, ge=0.1, le=10, description="What it counts beside the others, with loadBalancing weighted."
    )


class EndpointPrompts(SpecPart):
    """What is put before each text, for models that were trained with it, such as e5 and bge."""

    query: str = Field("", max_length=1_024, description="Before a text that is searched for.")
    document: str = Field("", max_length=1_024, description="Before a text that is stored.")


class Endpoint(SpecPart):
    """Where a model runs that is not run here."""

    url: Url = Field(
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

    weight: float = Field(
        1.0, ge=0.1, le=10, description="What url counts beside alternatives, with loadBalancing weighted."
    )
    alternatives: tuple[AlternativeEndpoint, ...] = Field(
        (),
        max_length=MAX_ALTERNATIVES,
        description="Other places where the same model runs: requests are spread over all of them.",
    )
    prompts: EndpointPrompts = Field(
        EndpointPrompts(),
        description="What is put before each text. Not for grpc: an embedder knows its models' own.",
    )

    model_config = ConfigDict(
        json_schema_extra=checked_by(
            rules.URL_OF_GRPC,
            rules.URL_OF_HTTP,
            rules.ALTERNATIVES_ALIKE,
            rules.ALTERNATIVES_DIFFER,
            rules.NO_PROMPTS_OF_GRPC,
        )
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem_of_endpoint(self):
            raise ValueError(problem)
        return self
