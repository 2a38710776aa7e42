"""Texts put into order by a cross-encoder, for their own sake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hanax.core.errors import InvalidArgument, InvalidText, TextTooLong
from hanax.core.texts import check_text
from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.rerankers import Rerankers
from hanax.gateway.rerank_requests import MAX_DOCUMENTS, RerankRequest

_MODELS: Final = "models"


@dataclass(frozen=True, slots=True)
class Ranked:
    """index: of the document in the request. score: more is better; its range is the model's own."""

    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Reranked:
    """ranked: the best first; of equal ones the earlier in the request."""

    model: str
    ranked: list[Ranked]


class Reranking:
    def __init__(self, rerankers: Rerankers, metrics: Metrics, timeout_s: float) -> None:
        self.rerankers = rerankers
        self._metrics = metrics
        self._timeout_s = timeout_s

    async def rerank(self, call: Call, request: RerankRequest) -> Reranked:
        """Raises ModelNotFound, InvalidText, TextTooLong, and what `Rerankers.score` raises."""
        with self._metrics.reading("rerank", None, call):
            call.caller.require_some(Scope.READ, _MODELS)
            self.rerankers.find(request.model)
            query = _checked(request.query, "query", "query")
            documents = _documents(request.documents)
            call.grant(self._timeout_s)
            with call.waiting("rerank"), call.away():
                scores = await self.rerankers.score(request.model, query, documents, call.deadline)
            best = np.argsort(-np.array(scores), kind="stable")[: request.top_n].tolist()
            return Reranked(request.model, [Ranked(index, scores[index]) for index in best])


def _documents(given: object) -> list[str]:
    if not isinstance(given, list) or not 0 < len(given) <= MAX_DOCUMENTS:
        got = len(given) if isinstance(given, list) else type(given).__name__
        message = f"documents: expected a list of 1 to {MAX_DOCUMENTS} texts, got {got}"
        raise InvalidArgument(message, errors=[{"field": "documents", "message": message}])
    return [_checked(one, f"documents[{index}]", "documents", index=index) for index, one in enumerate(given)]


def _checked(text: object, where: str, field: str, **details: Any) -> str:
    try:
        return check_text(text, where)
    except (InvalidText, TextTooLong) as error:
        faults = [{"field": field, "message": error.message}]
        raise type(error)(error.message, **error.details, **details, errors=faults) from None
