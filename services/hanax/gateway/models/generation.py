"""Embedding for its own sake: now, or as a job, as the model's pattern says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hanax.core.errors import ModelConflict
from hanax.core.resources.names import AUTO
from hanax.gateway.calls import Call
from hanax.gateway.embedding_requests import EmbeddingRequest, EmbedOptions
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.jobs.queueing import Queued, Queueing
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedded, Embedding, check_dimensions
from hanax.gateway.models.patterns import check_answers_now, is_queued
from hanax.gateway.models.registry import Model
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.routing import Routing
from hanax.gateway.texts import parse_texts

_EMBEDDINGS: Final = "models"


class Generation:
    """Each method raises ModelNotFound, InvalidText, and what `Embedding.embed` raises."""

    def __init__(self, routing: Routing, embedding: Embedding, queueing: Queueing, metrics: Metrics) -> None:
        self._routing = routing
        self._embedding = embedding
        self._queueing = queueing
        self._metrics = metrics

    async def generate(self, call: Call, request: EmbeddingRequest) -> Embedded | Queued:
        """By the model that the request names, or the collection's. Raises CollectionNotFound,
        FailedPrecondition and ModelConflict where a collection is named, and Overloaded for jobs.
        """
        with self._metrics.reading("embed", request.collection, call):
            call.caller.require_some(Scope.READ, _EMBEDDINGS)
            texts = parse_texts(request.text)
            return await self._embed(call, self._choose(call, request), texts, request, request.batch_size)

    async def at_once(self, call: Call, request: EmbeddingRequest) -> Embedded:
        """As `generate`, but never queued: for whoever is a queue already."""
        with self._metrics.reading("embed", request.collection, call):
            call.caller.require_some(Scope.READ, _EMBEDDINGS)
            texts = parse_texts(request.text)
            model = self._choose(call, request)
            call.grant(self._embedding.timeout_s)
            made = await self._embedding.embed(call, model, texts, request.wanted(), request.batch_size)
            _tell_age(call, made)
            return made

    async def by_model(self, call: Call, name: str, text: object, options: EmbedOptions) -> Embedded | Queued:
        with self._metrics.reading("embed", None, call):
            call.caller.require_some(Scope.READ, _EMBEDDINGS)
            texts = parse_texts(text)
            return await self._embed(call, self._embedding.choose(name), texts, options, None)

    async def now(self, call: Call, name: str, texts: Sequence[str], wanted: Wanted) -> Embedded:
        """For a door that can only answer at once: also more texts than a hybrid model takes otherwise.

        Raises ModelIsBulkOnly.
        """
        with self._metrics.reading("embed", None, call):
            call.caller.require_some(Scope.READ, _EMBEDDINGS)
            model = self._embedding.choose(name)
            check_answers_now(model.route, "this API")
            call.grant(self._embedding.timeout_s)
            made = await self._embedding.embed(call, model, texts, wanted)
            _tell_age(call, made)
            return made

    async def _embed(
        self, call: Call, model: Model, texts: list[str], options: EmbedOptions, at_once: int | None
    ) -> Embedded | Queued:
        if is_queued(model.route, len(texts), options.urgent):
            check_dimensions(model.route, options.wanted())
            return await self._queueing.texts(call, model, texts, options)
        call.grant(self._embedding.timeout_s)
        made = await self._embedding.embed(call, model, texts, options.wanted(), at_once)
        _tell_age(call, made)
        return made

    def _choose(self, call: Call, request: EmbeddingRequest) -> Model:
        if request.collection is None:
            return self._embedding.choose(request.model)
        spec = self._routing.readable(call.caller, request.collection).spec
        if request.model not in (AUTO, spec.embedding_model):
            raise ModelConflict(
                f"collection {spec.name!r} has the embedding model {spec.embedding_model!r}, the request "
                f"names {request.model!r}: leave one of the two out",
                collection=spec.name,
                model=request.model,
            )
        return self._embedding.model_of(spec)


def _tell_age(call: Call, made: Embedded) -> None:
    if made.fresh == 0:
        call.hit(made.age_s)
    elif call.control.store:
        call.cache_missed = True
