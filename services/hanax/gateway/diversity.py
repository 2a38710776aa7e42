"""Maximal marginal relevance: results that are near to the query and unlike one another.

Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998. One after the other, the
candidate is taken that has the greatest

    (1 - diversity) * score(query, candidate) - diversity * max score(candidate, taken)

with the metric's own score for both; ties go to the candidate that is nearer to the query.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import InvalidLimit
from hanax.core.limits import MAX_SEARCH_LIMIT
from hanax.gateway.hits import Hit
from hanax.gateway.pages import Page
from hanax.gateway.query_fields import Mmr
from hanax.gateway.vectors import Matrix

# Candidates for each result, where a request does not say.
_CANDIDATES: Final = 4


def candidates_of(mmr: Mmr, page: Page) -> int:
    """How many of the nearest a diverse page is chosen from. Raises InvalidLimit."""
    if mmr.candidates is None:
        return min(_CANDIDATES * page.window, MAX_SEARCH_LIMIT + 1)
    if mmr.candidates < page.offset + page.limit:
        raise InvalidLimit(
            f"mmr.candidates: expected at least offset + limit, {page.offset + page.limit}, "
            f"got {mmr.candidates}"
        )
    return mmr.candidates


async def diverse_hits(hits: list[Hit], metric: Metric, limit: int, diversity: float) -> list[Hit]:
    """Up to `limit` of the hits, in the order taken; they have vectors, and fall by score.

    In a thread, which ends with whoever waits for it: a thousand long vectors take many seconds.
    """
    if not hits:
        return hits
    given_up = threading.Event()

    def take() -> list[Hit]:
        scores = np.array([hit.score for hit in hits])
        vectors = np.array([hit.record.vector for hit in hits], np.float32)
        rows = select_diverse(metric, scores, vectors, limit, diversity)
        return [hits[row] for row in takewhile(lambda _: not given_up.is_set(), rows)]

    try:
        return await asyncio.to_thread(take)
    finally:
        given_up.set()


def select_diverse(
    metric: Metric, scores: NDArray[np.float64], vectors: Matrix, limit: int, diversity: float
) -> Iterator[int]:
    """Rows of up to `limit` candidates, in the order taken.

    scores: float64[n], falling; vectors: float32[n, d]. O(n d) for each one taken.
    """
    candidates = vectors.astype(np.float64)
    if metric is Metric.COSINE:
        candidates /= np.linalg.norm(candidates, axis=1, keepdims=True)
    relevance = (1.0 - diversity) * scores
    likeness = np.full(len(scores), -np.inf)
    free = np.ones(len(scores), np.bool_)
    for taken in range(min(limit, len(scores))):
        worth = relevance if taken == 0 else relevance - diversity * likeness
        best = int(np.argmax(np.where(free, worth, -np.inf)))
        yield best
        free[best] = False
        np.maximum(likeness, _scores(metric, candidates, candidates[best]), out=likeness)


def _scores(metric: Metric, candidates: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """What `score_of` says of each candidate beside `one`; under cosine, all have length 1."""
    if metric in (Metric.COSINE, Metric.DOT):
        products: NDArray[np.float64] = candidates @ one
        return products
    differences = candidates - one
    if metric is Metric.EUCLIDEAN:
        distances = np.sqrt(np.einsum("ij,ij->i", differences, differences))
    else:
        distances = np.abs(differences).sum(axis=1)
    scores: NDArray[np.float64] = 1.0 / (1.0 + distances)
    return scores
