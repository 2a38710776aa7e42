"""From an ExternalModel to how gateways reach it, in a cluster and on one machine alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import orjson
from xxhash import xxh3_64_hexdigest

from hanax.core.model_routes import Breaker, ModelEndpoint, ModelRoute, Prompts, RequestRate, SecretFile
from hanax.core.resources.model_endpoints import Endpoint, Protocol
from hanax.core.resources.models import ExternalModelSpec
from hanax.core.resources.serving import Serve


def external_route(name: str, spec: ExternalModelSpec, endpoint: Endpoint) -> ModelRoute:
    """Of a model that runs elsewhere: at `endpoint`, which is the spec's."""
    secret = endpoint.auth_secret_ref
    prompts = Prompts(query=endpoint.prompts.query, document=endpoint.prompts.document)
    upstream = endpoint.model or name
    places = [(endpoint.url, endpoint.weight)] + [(one.url, one.weight) for one in endpoint.alternatives]
    return ModelRoute(
        **_wherever_it_runs(name, spec),
        max_attempts=spec.retry_attempts + 1,
        endpoints=tuple(ModelEndpoint(address=address_of(url), weight=weight) for url, weight in places),
        protocol=endpoint.protocol.value,
        # Not where it runs: at another place the same model makes the same vectors.
        version=_digest(endpoint.protocol, upstream, spec.dimensions, prompts.query, prompts.document),
        upstream_model=upstream,
        prompts=prompts,
        headers=tuple(sorted(endpoint.headers.items())),
        secret=None if secret is None else SecretFile(name=secret.name, key=secret.key),
        external=True,
    )


def served_route(name: str, spec: ExternalModelSpec, serve: Serve, addresses: Iterable[str]) -> ModelRoute:
    """Of a model that is run here, by embedders at host:port. `serve` is the spec's.

    Its embedders are started again when they end: a request waits for that within its deadline, so its
    attempts are not numbered.
    """
    return ModelRoute(
        **_wherever_it_runs(name, spec),
        endpoints=tuple(ModelEndpoint(address=address) for address in addresses),
        protocol=Protocol.GRPC.value,
        version=_digest(serve.model, serve.backend, serve.precision, spec.dimensions),
    )


def address_of(url: str) -> str:
    """host:port for plain gRPC, the URL for all else: a scheme must not be left out where it says more."""
    parts = urlsplit(url)
    return parts.netloc if parts.scheme == "grpc" else url


def _wherever_it_runs(name: str, spec: ExternalModelSpec) -> dict[str, Any]:
    rate, breaker = spec.rate_limit, spec.circuit_breaker
    return {
        "name": name,
        "dimension": spec.dimensions,
        "max_tokens": spec.max_tokens,
        "pattern": spec.pattern.value,
        "timeout_s": spec.timeout_seconds,
        "weight": spec.weight,
        "load_balancing": spec.load_balancing.value,
        "breaker": Breaker(failures=breaker.failures, open_s=breaker.open_seconds),
        "rate": None
        if rate is None
        else RequestRate(
            per_s=rate.requests_per_second, burst=rate.burst or math.ceil(rate.requests_per_second)
        ),
        "health_path": spec.health_check_path,
        "max_batch_texts": spec.max_batch_texts,
        "hedge_after_s": None if spec.hedge_after_ms is None else spec.hedge_after_ms / 1_000,
    }


def _digest(*parts: object) -> str:
    return xxh3_64_hexdigest(orjson.dumps(parts))
