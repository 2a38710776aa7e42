"""Cross-encoders of upstream servers: they read a query and a text together, and tell how well they fit.

They are no embedding models, which the routing table names: HANAX_RERANK_MODELS declares them. Spoken are the
`/rerank` of text-embeddings-inference and the `/v2/rerank` of Cohere, and of all that speak alike.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from hanax.core.errors import InvalidArgument, ModelNotFound
from hanax.core.index_specs import Spec
from hanax.core.model_routes import ModelEndpoint, ModelRoute, SecretFile
from hanax.core.resources.model_endpoints import MAX_HEADERS, HeaderValue, Url
from hanax.core.specs import ModelName
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.models.protocols.connections import Connections, UpstreamOptions
from hanax.gateway.models.protocols.exchange import Exchange, late
from hanax.gateway.models.protocols.failures import Server
from hanax.gateway.models.registry import PoolLimits
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.shards import gather_all

_MOST_MODELS: Final = 32

# Of one request: what servers of these protocols take when nobody has told them otherwise.
_TEXTS_AT_ONCE: Final = {"tei": 32, "cohere": 1_000}
_PATHS: Final = {"tei": "/rerank", "cohere": "/v2/rerank"}

# An answer has an index and a score of each text; some repeat what they were asked.
_BYTES_PER_TEXT: Final = 512
_BYTES_BESIDE: Final = 16_384


class RerankModel(Spec):
    """One model. urls: places where it runs. model: what it is called there; None: as here."""

    name: ModelName
    urls: Annotated[tuple[Url, ...], Field(min_length=1, max_length=16)]
    protocol: Literal["tei", "cohere"] = "tei"
    model: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    secret: SecretFile | None = None
    headers: Annotated[dict[str, HeaderValue], Field(max_length=MAX_HEADERS)] = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    max_texts: Annotated[int | None, Field(ge=1, le=10_000)] = None


class _Route(ModelRoute):
    """As upstream servers of embedding models are reached."""

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
        raise InvalidArgument(f"HANAX_RERANK_MODELS: {place}: {first['msg']}") from None
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
        exchange = Exchange(self._connections, Secrets(secrets_dir, os.environ))
        self._by_name = {model.name: _Reranker(model, exchange, limits, clock) for model in declared}

    async def score(self, name: str, query: str, texts: Sequence[str], deadline: float) -> list[float]:
        """How well each text fits the query: more is better. `texts` is not empty.

        Raises ModelNotFound, naming the models that there are, and what an upstream's failure means:
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
        await self._connections.close()


class _Reranker:
    def __init__(
        self, model: RerankModel, exchange: Exchange, limits: PoolLimits, clock: Callable[[], float]
    ) -> None:
        self._protocol = model.protocol
        self._exchange = exchange
        self._at_once = model.max_texts or _TEXTS_AT_ONCE[model.protocol]
        self._route = _Route(
            name=model.name,
            # Neither means anything here: it makes no vectors, and cuts texts itself.
            dimension=1,
            max_tokens=1,
            endpoints=tuple(ModelEndpoint(address=url) for url in model.urls),
            protocol=model.protocol,
            upstream_model=model.model or model.name,
            timeout_s=model.timeout_s,
            # Whoever asks tries again by its own count.
            max_attempts=len(model.urls),
            headers=tuple(sorted(model.headers.items())),
            secret=model.secret,
            external=True,
        )
        options = limits.options(self._route)
        self._pool = Pool(f"rerank/{model.name}", options, clock)
        self._pool.follow(self._route.endpoints, options)

    async def score(self, query: str, texts: Sequence[str], deadline: float) -> list[float]:
        async def of_part(part: Sequence[str]) -> list[float]:
            async def attempt(address: str, timeout_s: float) -> list[float]:
                try:
                    async with asyncio.timeout(timeout_s):
                        return await self._ask(address, query, part)
                except TimeoutError:
                    raise late(Server(address, self._route), timeout_s) from None

            return await self._pool.run(attempt, deadline, urgent=True)

        scores = await gather_all([of_part(part) for part in _parts(texts, self._at_once)])
        return [score for part in scores for score in part]

    async def _ask(self, address: str, query: str, texts: Sequence[str]) -> list[float]:
        limit = _BYTES_BESIDE + _BYTES_PER_TEXT * len(texts)
        answer = await self._exchange.post(
            address, self._route, _PATHS[self._protocol], self._body(query, texts), limit
        )
        return self._scores(Server(address, self._route), answer.value, len(texts))

    def _body(self, query: str, texts: Sequence[str]) -> Mapping[str, object]:
        if self._protocol == "tei":
            return {"query": query, "texts": texts, "truncate": True}
        name = self._route.upstream_model
        return {"model": name, "query": query, "documents": texts, "top_n": len(texts)}

    def _scores(self, server: Server, answer: object, count: int) -> list[float]:
        """In the order of the texts. Raises UpstreamFailed for what tells not one score of each."""
        name = "score"
        if self._protocol == "cohere":
            name = "relevance_score"
            answer = answer.get("results") if isinstance(answer, dict) else None
        scores: dict[int, float] = {}
        for one in answer if isinstance(answer, list) else ():
            index, score = (one.get("index"), one.get(name)) if isinstance(one, dict) else (None, None)
            if type(index) is not int or not isinstance(score, int | float) or not math.isfinite(score):
                raise server.no_answer(f"answered a result without a whole index and a finite {name}")
            scores[index] = float(score)
        if scores.keys() != set(range(count)):
            raise server.no_answer(f"answered no {name} of each of {count} texts")
        return [scores[index] for index in range(count)]


def _parts(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(texts)
    while part := list(islice(rest, size)):
        yield part
