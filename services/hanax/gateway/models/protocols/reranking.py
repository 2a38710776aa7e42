"""Clients of the servers that cross-encoders run on: embedders, and those that speak as TEI or Cohere do.

All of them check what comes back, as the clients of embedding models do, and fail as they do.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from hanax.core.limits import MAX_EMBED_TEXTS
from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.protocols.exchange import Exchange, late
from hanax.gateway.models.protocols.failures import Server
from hanax.gateway.models.protocols.over_grpc import OverGrpc

RerankProtocol = Literal["embedder", "tei", "cohere"]

# Of one request: what servers of these protocols take when nobody has told them otherwise.
TEXTS_AT_ONCE: Final[Mapping[RerankProtocol, int]] = {
    "embedder": MAX_EMBED_TEXTS,
    "tei": 32,
    "cohere": 1_000,
}

# An answer has an index and a score of each text; some repeat what they were asked.
_BYTES_PER_TEXT: Final = 512
_BYTES_BESIDE: Final = 16_384


class RerankClient(Protocol):
    async def score(
        self, address: str, model: ModelRoute, query: str, texts: Sequence[str], timeout_s: float
    ) -> list[float]:
        """How well each text fits the query, in order: more is better; `texts` is not empty.

        Raises what an attempt of a ProtocolClient raises.
        """


class RerankOverGrpc:
    """Of this project's embedders."""

    def __init__(self, embedders: OverGrpc) -> None:
        self._embedders = embedders

    async def score(
        self, address: str, model: ModelRoute, query: str, texts: Sequence[str], timeout_s: float
    ) -> list[float]:
        return await self._embedders.rerank(address, model, query, texts, timeout_s)


class RerankOverHttp:
    """`/rerank` of text-embeddings-inference, or `/v2/rerank` of Cohere."""

    def __init__(self, exchange: Exchange, dialect: Literal["tei", "cohere"]) -> None:
        self._exchange = exchange
        self._is_tei = dialect == "tei"

    async def score(
        self, address: str, model: ModelRoute, query: str, texts: Sequence[str], timeout_s: float
    ) -> list[float]:
        server = Server(address, model)
        path = "/rerank" if self._is_tei else "/v2/rerank"
        limit = _BYTES_BESIDE + _BYTES_PER_TEXT * len(texts)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._exchange.post(
                    address, model, path, self._body(model, query, texts), limit
                )
        except TimeoutError:
            raise late(server, timeout_s) from None
        return self._scores(server, answer.value, len(texts))

    def _body(self, model: ModelRoute, query: str, texts: Sequence[str]) -> Mapping[str, object]:
        if self._is_tei:
            return {"query": query, "texts": texts, "truncate": True}
        return {"model": model.upstream_model, "query": query, "documents": texts, "top_n": len(texts)}

    def _scores(self, server: Server, answer: object, count: int) -> list[float]:
        """In the order of the texts. Raises UpstreamFailed for what tells not one score of each."""
        name = "score"
        if not self._is_tei:
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
