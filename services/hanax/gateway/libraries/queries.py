"""Queries of libraries: preprocess, embed, retrieve, rerank."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from hanax.core.errors import InvalidArgument, InvalidLimit
from hanax.core.limits import MAX_CANDIDATES
from hanax.core.texts import check_text
from hanax.gateway.calls import Call, Timeouts
from hanax.gateway.diversity import diverse_hits
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.gateway.libraries.contents import Stored, decode_point
from hanax.gateway.libraries.drafts import read_vector
from hanax.gateway.libraries.indexes import check_built
from hanax.gateway.libraries.query_requests import (
    MAX_READ_TOGETHER,
    CrossEncoderRerank,
    MmrRerank,
    QueryRequest,
    StepRequest,
)
from hanax.gateway.libraries.retrieval import Found, Retrieval, Sought, check_filter
from hanax.gateway.libraries.rights import check_library
from hanax.gateway.libraries.steps import StepLimits, Steps, StepTold
from hanax.gateway.models.embedding import Embedding
from hanax.gateway.models.patterns import check_answers_now
from hanax.gateway.models.rerankers import Rerankers
from hanax.gateway.models.wanted import Purpose, Wanted
from hanax.gateway.searches import Searches
from hanax.gateway.vectors import Matrix
from hanax.metadata.libraries.query_rows import QueryRows
from hanax.metadata.libraries.rows import Chunk, Clock, Library

# Candidates for each result, where a request does not say.
_CANDIDATES: Final = 4

_RETRIES: Final = 1


@dataclass(frozen=True, slots=True)
class Result:
    """rerank_score: what a cross-encoder says; None where none was asked, or it failed."""

    chunk: Chunk
    stored: Stored
    score: float
    rerank_score: float | None
    vector: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """truncated: the model read the text in part."""

    results: list[Result]
    truncated: bool
    steps: list[StepTold]


@dataclass(frozen=True, slots=True)
class _Question:
    """What preprocessing leaves. text: normalised; None: none was sent. vector: float32[1, dimension]; None:
    the text is to be embedded.
    """

    text: str | None
    vector: Matrix | None
    sought: Sought

    @property
    def library(self) -> Library:
        return self.sought.library

    @property
    def request(self) -> QueryRequest:
        return self.sought.request


class LibraryQueries:
    def __init__(
        self,
        rows: QueryRows,
        parts: QueryParts,
        timeouts: Timeouts,
    ) -> None:
        self._rows = rows
        self._retrieval = Retrieval(rows, parts.searches)
        self._parts = parts
        self._timeouts = timeouts

    async def query(self, call: Call, library_id: str, request: QueryRequest) -> Answer:
        """Raises LibraryNotFound, IndexNotBuilt, an InvalidArgument, ModelNotFound, and what a step raises,
        with its name in the details.
        """
        check_library(call, Scope.READ, library_id)
        library, clock = await self._rows.begin(library_id)
        check_built(library)
        steps = Steps(call)
        question = self._preprocess(library, clock, request)
        vector, truncated = await self._find_vector(steps, question)
        limits = _limits(request.steps.retrieve, self._timeouts.request_s)
        retrieve = partial(self._retrieval.nearest, sought=question.sought, vector=vector)
        found = await steps.run("retrieve", limits, retrieve)
        results = await self._rerank(steps, question, found)
        return Answer(results, truncated, steps.told)

    def _preprocess(self, library: Library, clock: Clock, request: QueryRequest) -> _Question:
        """Check all that can be checked before anybody is asked."""
        rerank = request.rerank
        reads = isinstance(rerank, CrossEncoderRerank)
        if request.text is None and request.embedding is None:
            raise InvalidArgument("expected text or embedding, got neither")
        if request.text is not None and request.embedding is not None and not reads:
            raise InvalidArgument(
                "expected text or embedding, got both: they go together with a cross_encoder"
            )
        if reads and request.text is None:
            raise InvalidArgument(
                "rerank: a cross_encoder reads the query: send text, beside embedding or alone"
            )
        if isinstance(rerank, CrossEncoderRerank):
            self._parts.rerankers.find(rerank.model)
        text = None
        if request.text is not None:
            text = " ".join(unicodedata.normalize("NFC", check_text(request.text, "text")).split())
        named = check_filter(request.filter)
        route = self._parts.points.route(library)
        spec = route.spec
        vector = None
        if request.embedding is not None:
            vector = read_vector(request.embedding, "embedding", library, spec)
        elif library.model is None:
            raise InvalidArgument(
                f"text: library {library.name!r} has no model that could embed it: send embedding"
            )
        needs_vectors = request.include_embeddings or isinstance(rerank, MmrRerank)
        moving = clock if len(route.shards) > 1 else None
        sought = Sought(library, request, _candidates(request), needs_vectors, named, moving)
        return _Question(text, vector, sought)

    async def _find_vector(self, steps: Steps, question: _Question) -> tuple[Matrix, bool]:
        """float32[1, dimension], and whether the model read the text in part."""
        if question.vector is not None:
            return question.vector, False
        limits = _limits(question.request.steps.embed, self._timeouts.embed_s)
        return await steps.run("embed", limits, partial(self._embed, question=question))

    async def _embed(self, call: Call, question: _Question) -> tuple[Matrix, bool]:
        embedding = self._parts.embedding
        model = embedding.model_of(self._parts.points.route(question.library).spec)
        check_answers_now(model.route, "a query by text")
        made = await embedding.embed(call, model, [question.text or ""], Wanted(Purpose.QUERY, urgent=True))
        return made.vectors, bool(made.truncated)

    async def _rerank(self, steps: Steps, question: _Question, found: list[Found]) -> list[Result]:
        request = question.request
        rerank = request.rerank
        plain = [(one, None) for one in found[: request.k]]
        if rerank is None or not found:
            return _results(question, plain)
        limits = _limits(request.steps.rerank, self._timeouts.request_s)

        async def order(call: Call) -> list[tuple[Found, float | None]]:
            if isinstance(rerank, MmrRerank):
                return await self._diverse(question, found, rerank.diversity)
            return await self._read_together(call, question, found, rerank.model)

        otherwise = (lambda: list(plain)) if rerank.on_failure == "skip" else None
        return _results(question, await steps.run("rerank", limits, order, otherwise))

    async def _diverse(
        self, question: _Question, found: list[Found], diversity: float
    ) -> list[tuple[Found, float | None]]:
        by_id = {one.hit.record.id: one for one in found}
        metric = self._parts.points.route(question.library).spec.metric
        hits = [one.hit for one in found]
        taken = await diverse_hits(hits, metric, question.request.k, diversity)
        return [(by_id[hit.record.id], None) for hit in taken]

    async def _read_together(
        self, call: Call, question: _Question, found: list[Found], model: str
    ) -> list[tuple[Found, float | None]]:
        texts = [decode_point(one.hit.record.metadata or b"").content.text for one in found]
        with call.waiting("rerank"), call.away():
            scores = await self._parts.rerankers.score(model, question.text or "", texts, call.deadline)
        # Ties go to the nearer one.
        order = np.argsort(-np.array(scores), kind="stable")[: question.request.k]
        return [(found[row], scores[row]) for row in order.tolist()]


@dataclass(frozen=True, slots=True)
class QueryParts:
    """What steps of a query go through."""

    points: ChunkPoints
    embedding: Embedding
    searches: Searches
    rerankers: Rerankers


def _candidates(request: QueryRequest) -> int:
    """How many chunks to retrieve. Raises InvalidLimit."""
    rerank = request.rerank
    if rerank is None:
        return request.k
    most = MAX_CANDIDATES if isinstance(rerank, MmrRerank) else MAX_READ_TOGETHER
    if request.k > most:
        raise InvalidLimit(f"k: at most {most} with rerank by {rerank.type}, got {request.k}")
    if rerank.candidates is None:
        return min(_CANDIDATES * request.k, most)
    if rerank.candidates < request.k:
        raise InvalidLimit(f"rerank.candidates: expected at least k, {request.k}, got {rerank.candidates}")
    return rerank.candidates


def _limits(asked: StepRequest, usual_s: float) -> StepLimits:
    return StepLimits(
        usual_s if asked.timeout_s is None else asked.timeout_s,
        _RETRIES if asked.retries is None else asked.retries,
    )


def _results(question: _Question, ordered: Sequence[tuple[Found, float | None]]) -> list[Result]:
    shows = question.request.include_embeddings
    return [
        Result(
            chunk=one.chunk,
            stored=decode_point(one.hit.record.metadata or b""),
            score=one.hit.score,
            rerank_score=score,
            vector=one.hit.record.vector if shows else None,
        )
        for one, score in ordered
    ]
