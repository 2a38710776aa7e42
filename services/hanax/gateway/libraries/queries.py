"""Queries of libraries: preprocess, embed, retrieve, rerank.

What a search finds is checked against the registry: a point that is no chunk now, because a change of its
document is under way or has just ended, is left out, and the search is made again without such points. So
an answer has chunks that all were there at one moment, and k of them where k match. Shards are not searched
at one moment: where a change was committed meanwhile, the library's clock tells, and they are searched again.
Where that never ends, the query is refused as Unavailable.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import orjson

from hanax.core.errors import InvalidArgument, InvalidLimit, Unavailable
from hanax.core.library_names import collection_of
from hanax.core.limits import MAX_CANDIDATES
from hanax.core.texts import check_text
from hanax.gateway.calls import Call, Timeouts
from hanax.gateway.diversity import diverse_hits
from hanax.gateway.hits import Hit
from hanax.gateway.libraries.chunk_points import ChunkPoints
from hanax.gateway.libraries.contents import CHANGE, Stored, decode_point
from hanax.gateway.libraries.drafts import read_vector
from hanax.gateway.libraries.ids import point_of
from hanax.gateway.libraries.indexes import check_built
from hanax.gateway.libraries.query_requests import (
    MAX_READ_TOGETHER,
    CrossEncoderRerank,
    MmrRerank,
    QueryRequest,
    StepRequest,
)
from hanax.gateway.libraries.steps import StepLimits, Steps, StepTold
from hanax.gateway.models.embedding import Embedding
from hanax.gateway.models.patterns import check_answers_now
from hanax.gateway.models.rerankers import Rerankers
from hanax.gateway.models.wanted import Purpose, Wanted
from hanax.gateway.requests import SearchRequest, encode_filter
from hanax.gateway.searches import Searches
from hanax.gateway.vectors import Matrix
from hanax.metadata.libraries.query_rows import QueryRows
from hanax.metadata.libraries.rows import Chunk, Clock, Library, shown_id

# Searches of one retrieval. The second knows all changes under way: only those that end meanwhile make
# a third.
_MOST_ROUNDS: Final = 10

# Candidates for each result, where a request does not say.
_CANDIDATES: Final = 4

# Points that are left out by name, beside those that changes under way name.
_MOST_NAMED: Final = 3_000

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
    """What preprocessing leaves. text: normalised; None: none was sent. wanted: chunks to retrieve.

    clock: the library's, before anything is searched; None where a search sees all points at one moment,
    because they are on one shard.
    """

    library: Library
    request: QueryRequest
    text: str | None
    vector: Matrix | None
    wanted: int
    clock: Clock | None

    @property
    def needs_vectors(self) -> bool:
        return self.request.include_embeddings or isinstance(self.request.rerank, MmrRerank)


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Of one search: points by their change, and by their ids."""

    changes: set[str]
    points: set[str]


@dataclass(frozen=True, slots=True)
class _Found:
    hit: Hit
    chunk: Chunk


class LibraryQueries:
    def __init__(
        self,
        rows: QueryRows,
        parts: QueryParts,
        timeouts: Timeouts,
    ) -> None:
        self._rows = rows
        self._parts = parts
        self._timeouts = timeouts

    async def query(self, call: Call, library_id: str, request: QueryRequest) -> Answer:
        """Raises LibraryNotFound, IndexNotBuilt, an InvalidArgument, ModelNotFound, and what a step raises,
        with its name in the details.
        """
        library, clock = await self._rows.begin(library_id)
        check_built(library)
        steps = Steps(call)
        question = self._preprocess(library, clock, request)
        vector, truncated = await self._find_vector(steps, question)
        limits = _limits(request.steps.retrieve, self._timeouts.request_s)
        retrieve = partial(self._retrieve, question=question, vector=vector)
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
        encode_filter(request.filter)
        # With what a later round may add, so that it is not refused then.
        encode_filter(_without(request.filter, [""], [shown_id("0" * 32)]))
        route = self._parts.points.route(library)
        spec = route.spec
        vector = None
        if request.embedding is not None:
            vector = read_vector(request.embedding, "embedding", library, spec)
        elif library.model is None:
            raise InvalidArgument(
                f"text: library {library.name!r} has no model that could embed it: send embedding"
            )
        return _Question(
            library, request, text, vector, _candidates(request), clock if len(route.shards) > 1 else None
        )

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

    async def _retrieve(self, call: Call, question: _Question, vector: Matrix) -> list[_Found]:
        """The nearest chunks, by falling score."""
        clock = question.clock
        # What will never be a chunk again is left out of all that follow, other points of the next alone.
        gone: set[str] = set()
        gone_points: set[str] = set()
        under_way: list[str] = []
        for _ in range(_MOST_ROUNDS):
            hits = await self._search(call, question, vector, _LeftOut({*gone, *under_way}, gone_points))
            ids = [point_of(hit.record.id) for hit in hits]
            checked = await self._rows.check(question.library.id, ids)
            current = checked.current
            stale = [hit for hit, id in zip(hits, ids, strict=True) if id not in current]
            if not stale and _is_of_one_moment(clock, checked.clock, current.values()):
                return [_Found(hit, current[id]) for hit, id in zip(hits, ids, strict=True)]
            clock = checked.clock
            under_way = checked.left_out.under_way
            gone.update(checked.left_out.gone)
            gone_points.update(checked.left_out.gone_points)
            gone_points.update(point_of(hit.record.id) for hit in stale if _change(hit) not in under_way)
        raise Unavailable(f"library {question.library.name!r} changes all the time; ask again")

    async def _search(self, call: Call, question: _Question, vector: Matrix, left_out: _LeftOut) -> list[Hit]:
        request = question.request
        points = [shown_id(id) for id in sorted(left_out.points)[:_MOST_NAMED]]
        asked = SearchRequest(
            collection=collection_of(question.library.id),
            vector=vector[0].tolist(),
            limit=question.wanted,
            score_threshold=request.min_score,
            filter=_without(request.filter, sorted(left_out.changes)[:_MOST_NAMED], points),
            include_vectors=question.needs_vectors,
            exact=request.exact,
        )
        return (await self._parts.searches.search(call, asked)).hits

    async def _rerank(self, steps: Steps, question: _Question, found: list[_Found]) -> list[Result]:
        request = question.request
        rerank = request.rerank
        plain = [(one, None) for one in found[: request.k]]
        if rerank is None or not found:
            return _results(question, plain)
        limits = _limits(request.steps.rerank, self._timeouts.request_s)

        async def order(call: Call) -> list[tuple[_Found, float | None]]:
            if isinstance(rerank, MmrRerank):
                return await self._diverse(question, found, rerank.diversity)
            return await self._read_together(call, question, found, rerank.model)

        otherwise = (lambda: list(plain)) if rerank.on_failure == "skip" else None
        return _results(question, await steps.run("rerank", limits, order, otherwise))

    async def _diverse(
        self, question: _Question, found: list[_Found], diversity: float
    ) -> list[tuple[_Found, float | None]]:
        by_id = {one.hit.record.id: one for one in found}
        metric = self._parts.points.route(question.library).spec.metric
        hits = [one.hit for one in found]
        taken = await asyncio.to_thread(diverse_hits, hits, metric, question.request.k, diversity)
        return [(by_id[hit.record.id], None) for hit in taken]

    async def _read_together(
        self, call: Call, question: _Question, found: list[_Found], model: str
    ) -> list[tuple[_Found, float | None]]:
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


def _is_of_one_moment(before: Clock | None, after: Clock, found: Iterable[Chunk]) -> bool:
    """Whether shards that were not searched at one moment answer as if they had been.

    A change that was committed meanwhile may have been seen in part (then something of it was found), or
    its old points not any more and its new ones not yet (then it moved some).
    """
    return before is None or (before.moves == after.moves and not any(map(before.is_behind, found)))


def _change(hit: Hit) -> str:
    """The change that wrote a point."""
    change: str = orjson.loads(hit.record.metadata or b"{}").get(CHANGE, "")
    return change


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


def _without(condition: Any, changes: Sequence[str], points: Sequence[str]) -> Any:
    """The filter, that leaves out points of these changes and with these ids."""
    parts: list[Any] = []
    if changes:
        parts.append({"field": CHANGE, "operator": "not_in", "value": list(changes)})
    if points:
        parts.append({"not": {"has_id": list(points)}})
    if not parts:
        return condition
    if condition is not None:
        parts.append({"and": condition} if isinstance(condition, list) else condition)
    return {"and": parts}


def _results(question: _Question, ordered: Sequence[tuple[_Found, float | None]]) -> list[Result]:
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
