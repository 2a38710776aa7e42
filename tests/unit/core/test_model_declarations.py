"""From what an ExternalModel says to how gateways reach it."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.model_declarations import external_route, served_route
from hanax.core.model_routes import Breaker, ModelEndpoint, ModelRoute, Prompts, RequestRate, SecretFile
from hanax.core.resources.models import ExternalModelSpec


def elsewhere(**fields: Any) -> ModelRoute:
    """`endpoint` fields are those of the endpoint, all others those of the spec."""
    endpoint = {"url": "https://a.example/v1", "protocol": "openai"} | fields.pop("endpoint", {})
    spec = ExternalModelSpec.model_validate({"dimensions": 3, "endpoint": endpoint, **fields})
    assert spec.endpoint is not None
    return external_route("m", spec, spec.endpoint)


def served(**serve: Any) -> ModelRoute:
    spec = ExternalModelSpec.model_validate({"dimensions": 3, "serve": {"model": "e5", **serve}})
    assert spec.serve is not None
    return served_route("m", spec, spec.serve, ["10.0.0.1:9301", "10.0.0.2:9301"])


def test_every_field_reaches_the_route() -> None:
    route = elsewhere(
        pattern="hybrid",
        maxTokens=512,
        timeoutSeconds=5,
        retryAttempts=0,
        weight=0.5,
        loadBalancing="weighted",
        circuitBreaker={"failures": 2, "openSeconds": 9},
        rateLimit={"requestsPerSecond": 2.5},
        healthCheckPath="/up",
        maxBatchTexts=16,
        hedgeAfterMs=250,
        endpoint={
            "model": "text-embedding-3",
            "authSecretRef": {"name": "keys", "key": "openai"},
            "headers": {"B": "2", "A": "1"},
            "weight": 2,
            "alternatives": [{"url": "https://b.example/v1", "weight": 3}],
            "prompts": {"query": "query: ", "document": "passage: "},
        },
    )
    assert route == ModelRoute(
        name="m",
        dimension=3,
        max_tokens=512,
        endpoints=(
            ModelEndpoint(address="https://a.example/v1", weight=2),
            ModelEndpoint(address="https://b.example/v1", weight=3),
        ),
        version=route.version,
        upstream_model="text-embedding-3",
        protocol="openai",
        pattern="hybrid",
        timeout_s=5,
        max_attempts=1,
        weight=0.5,
        load_balancing="weighted",
        breaker=Breaker(failures=2, open_s=9),
        rate=RequestRate(per_s=2.5, burst=3),
        prompts=Prompts(query="query: ", document="passage: "),
        headers=(("A", "1"), ("B", "2")),
        secret=SecretFile(name="keys", key="openai"),
        health_path="/up",
        max_batch_texts=16,
        hedge_after_s=0.25,
        external=True,
    )
    # Compared and kept in sets by those who follow the table.
    assert hash(route) == hash(route.model_copy())


@pytest.mark.parametrize(
    "other",
    [
        {"endpoint": {"url": "https://b.example/v1"}},
        {"endpoint": {"alternatives": [{"url": "https://b.example/v1"}]}},
        {"endpoint": {"headers": {"A": "1"}}},
        {"timeoutSeconds": 9},
        {"pattern": "bulk_only"},
    ],
)
def test_the_version_stays_while_the_vectors_do(other: dict[str, Any]) -> None:
    assert elsewhere(**other).version == elsewhere().version


@pytest.mark.parametrize(
    "other",
    [
        {"endpoint": {"model": "b"}},
        {"endpoint": {"prompts": {"query": "query: "}}},
        {"endpoint": {"prompts": {"document": "query: "}}},
        {"endpoint": {"protocol": "tei"}},
        {"dimensions": 4},
    ],
)
def test_the_version_changes_when_the_vectors_may(other: dict[str, Any]) -> None:
    assert elsewhere(**other).version != elsewhere().version


def test_a_served_model_is_reached_at_its_pods() -> None:
    route = served()
    assert (route.protocol, route.addresses) == ("grpc", ("10.0.0.1:9301", "10.0.0.2:9301"))
    assert not route.external
    # Its embedder is started again when it ends, and a request waits for that.
    assert route.max_attempts is None
    assert served(replicas=3).version == route.version
    assert len({served(**other).version for other in ({}, {"model": "b"}, {"backend": "torch"})}) == 3
    assert served(precision="int8").version != route.version
