"""Cross-encoders: they read a query and a text together, and tell how well they fit.

They are no embedding models, which the routing table names: HANAX_RERANK_MODELS declares them. They run on
embedders of this project, or on upstream servers that speak the `/rerank` of text-embeddings-inference or
the `/v2/rerank` of Cohere.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Final, Self

import orjson
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from hanax.core.errors import InvalidArgument, ModelNotFound
from hanax.core.index_specs import Spec
from hanax.core.limits import MAX_EMBED_TEXTS
from hanax.core.model_declarations import address_of
from hanax.core.model_routes import ModelEndpoint, ModelRoute, SecretFile
from hanax.core.resources.model_endpoints import MAX_HEADERS, HeaderValue, Url
from hanax.core.specs import ModelName
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.balancing.prober import Prober
from hanax.gateway.models.protocols.connections import Connections, UpstreamOptions
from hanax.gateway.models.protocols.exchange import Exchange
from hanax.gateway.models.protocols.over_grpc import OverGrpc
from hanax.gateway.models.protocols.reranking import (
    TEXTS_AT_ONCE,
    RerankClient,
    RerankOverGrpc,
    RerankOverHttp,
    RerankProtocol,
)
from hanax.gateway.models.protocols.trust import grpc_certificates
from hanax.gateway.models.registry import PoolLimits, chunk_slots
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.shards import gather_all
from hanax.rpc.channels import SPREAD_OPTIONS, Channels

_MOST_MODELS: Final = 32

_GRPC: Final = ("grpc://", "grpcs://")

# Of one request to an upstream server. Our own tell by themselves when they have too much to do; what waits
# for its turn there is no failure.
_UPSTREAM_TIMEOUT_S: Final = 30.0


class RerankModel(Spec):
    """One model. urls: places where it runs. model: what it is called there; None: as here.

    timeout_s: of one request to it; None: of an embedder what the caller's deadline leaves, of others 30.
    """

    name: ModelName
    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=16)]
    protocol: RerankProtocol = "tei"
    model: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    secret: SecretFile | None = None
    headers: Annotated[dict[str, HeaderValue], Field(max_length=MAX_HEADERS)] = Field(default_factory=dict)
    timeout_s: Annotated[float | None, Field(gt=0, le=600)] = None
    max_texts: Annotated[int | None, Field(ge=1, le=10_000)] = None

    @model_validator(mode="after")
    def _is_spoken_there(self) -> Self:
        of_embedder = self.protocol == "embedder"
        for url in self.urls:
            if url.startswith(_GRPC) is not of_embedder:
                expected = "grpc:// or grpcs://" if of_embedder else "http:// or https://"
                raise ValueError(f"urls: expected {expected} for protocol {self.protocol}, got {url}")
        if of_embedder and self.max_texts is not None and self.max_texts > MAX_EMBED_TEXTS:
            raise ValueError(
                f"max_texts: expected at most {MAX_EMBED_TEXTS} for protocol embedder, got {self.max_texts}"
            )
        return self


class _Route(ModelRoute):
    """As servers of embedding models are reached."""

    title: ClassVar[str] = "rerank model"


def declared_rerankers(text: str) -> list[RerankModel]:
    """A JSON list, or nothing. Raises InvalidArgument that says what is wrong with it."""
    if not text.strip():
        return []
    try:
        models = TypeAdapter(list[RerankModel]).validate_python(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"HANAX_RERANK_MODELS: not JSON: {error}") from None
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidArgument(
            f"HANAX_RERANK_MODELS: {place}: {first['msg'].removeprefix('Value error, ')}"
        ) from None
    names = [model.name for model in models]
    if len(set(names)) != len(names) or len(names) > _MOST_MODELS:
        raise InvalidArgument(f"HANAX_RERANK_MODELS: expected up to {_MOST_MODELS} models of different names")
    return models


class Rerankers:
    """Lives in one event loop; closed at its end."""

    def __init__(
        self,
        declared: Sequence[RerankModel],
        limits: PoolLimits,
        options: UpstreamOptions,
        secrets_dir: Any,
        clock: Callable[[], float],
    ) -> None:
        self._connections = Connections(options)
        # A name may have the addresses of several embedders.
        self._channels = Channels(grpc_certificates(options.ca_file), SPREAD_OPTIONS)
        secrets = Secrets(secrets_dir, os.environ)
        exchange = Exchange(self._connections, secrets)
        embedders = OverGrpc(self._channels, secrets)
        clients: dict[RerankProtocol, RerankClient] = {
            "embedder": RerankOverGrpc(embedders),
            "tei": RerankOverHttp(exchange, "tei"),
            "cohere": RerankOverHttp(exchange, "cohere"),
        }
        self._by_name = {
            model.name: _Reranker(model, clients[model.protocol], limits, clock) for model in declared
        }
        # Whether servers of others are well is not asked: not all have a path for it.
        self._probers = [
            Prober(one.pool, one.probe_by(embedders), random.Random())
            for one in self._by_name.values()
            if one.protocol == "embedder"
        ]

    @property
    def pools(self) -> list[Pool]:
        return [one.pool for one in self._by_name.values()]

    def start(self) -> None:
        """Probe the embedders, in the running event loop."""
        for prober in self._probers:
            prober.start()

    async def score(self, name: str, query: str, texts: Sequence[str], deadline: float) -> list[float]:
        """How well each text fits the query: more is better. `texts` is not empty.

        Raises ModelNotFound, naming the models that there are, ModelConflict for a model that is no
        cross-encoder, and what an upstream's failure means:
        RateLimited, Overloaded, Unavailable, UpstreamFailed, TextTooLong, DeadlineExceeded.
        """
        return await self.find(name).score(query, texts, deadline)

    def find(self, name: str) -> _Reranker:
        """Raises ModelNotFound."""
        if (found := self._by_name.get(name)) is None:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise ModelNotFound(
                f"no rerank model {name[:128]!r} is declared; declared are: {known}", model=name[:128]
            )
        return found

    async def close(self) -> None:
        for prober in self._probers:
            prober.close()
        await self._connections.close()
        await self._channels.close()


class _Reranker:
    def __init__(
        self, model: RerankModel, client: RerankClient, limits: PoolLimits, clock: Callable[[], float]
    ) -> None:
        self.protocol = model.protocol
        of_embedder = model.protocol == "embedder"
        self._client = client
        self._at_once = model.max_texts or TEXTS_AT_ONCE[model.protocol]
        self._route = _Route(
            name=model.name,
            # Neither means anything here: it makes no vectors, and cuts texts itself.
            dimension=1,
            max_tokens=1,
            endpoints=tuple(ModelEndpoint(address=address_of(url)) for url in model.urls),
            protocol="grpc" if of_embedder else model.protocol,
            upstream_model=model.model or model.name,
            timeout_s=model.timeout_s or (None if of_embedder else _UPSTREAM_TIMEOUT_S),
            # Our own are waited for when they start again; of others, whoever asks tries by its own count.
            max_attempts=None if of_embedder else len(model.urls),
            headers=tuple(sorted(model.headers.items())),
            secret=model.secret,
            external=True,
        )
        options = limits.options(self._route)
        self.pool = Pool(f"rerank/{model.name}", options, clock)
        self.pool.follow(self._route.endpoints, options)

    def probe_by(self, embedders: OverGrpc) -> Callable[[str, float], Awaitable[None]]:
        async def probe(address: str, timeout_s: float) -> None:
            await embedders.probe(address, self._route, timeout_s)

        return probe

    async def score(self, query: str, texts: Sequence[str], deadline: float) -> list[float]:
        slots = chunk_slots(self._route)

        async def of_part(part: Sequence[str]) -> list[float]:
            async def attempt(address: str, timeout_s: float) -> list[float]:
                return await self._client.score(address, self._route, query, part, timeout_s)

            async with slots:
                return await self.pool.run(attempt, deadline, urgent=True)

        scores = await gather_all([of_part(part) for part in _parts(texts, self._at_once)])
        return [score for part in scores for score in part]


def _parts(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while part := list(islice(rest, size)):
        yield part
