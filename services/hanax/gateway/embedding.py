"""Client of the embedders: texts in, vectors out, in chunks that one call may carry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np

from citadel.vector.v1 import embedder_pb2 as pb
from citadel.vector.v1.embedder_pb2_grpc import EmbedderServiceStub
from hanax.core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    ModelConflict,
    ModelNotFound,
    Unavailable,
)
from hanax.core.limits import MAX_EMBED_TEXTS
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import RoutingTable
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.gateway.requests import EmbeddingRequest
from hanax.gateway.routing import Routing
from hanax.gateway.shards import gather_all
from hanax.gateway.stubs import Stubs
from hanax.gateway.texts import parse_texts, require_model
from hanax.gateway.vectors import Matrix
from hanax.rpc.channels import Channels, call_with_retry

if TYPE_CHECKING:
    from citadel.vector.v1.embedder_pb2_grpc import EmbedderServiceAsyncStub

# One chunk computes while the next travels; more from one request would only fill the queue.
_CHUNKS_AT_ONCE: Final = 2

AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Embedded:
    """vectors: float32[n, dimension]; tokens read of each text; rows whose tail was left out."""

    model: str
    vectors: Matrix
    tokens: list[int]
    truncated: list[int]


class Embedding:
    def __init__(self, routing: Routing, channels: Channels, metrics: Metrics, timeout_s: float) -> None:
        self._routing = routing
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._stubs: Stubs[EmbedderServiceAsyncStub] = Stubs(channels, EmbedderServiceStub)
        self._turn = count()

    def follow(self, table: RoutingTable) -> None:
        """Forget the embedders that a newer table no longer names."""
        self._stubs.retain(embedder_addresses(table))

    async def generate(self, call: Call, request: EmbeddingRequest) -> Embedded:
        """Embed what a user sent. Raises ModelNotFound, FailedPrecondition for a model that is served over
        another protocol, InvalidText, TextTooLong, Overloaded, Unavailable or DeadlineExceeded.
        """
        with self._metrics.operation("embed", None):
            texts = parse_texts(request.text)
            model = self._choose(request.model)
            call.grant(self._timeout_s)
            return await self._embed(call, model, texts, request.normalize, request.batch_size)

    async def embed_for(self, call: Call, spec: CollectionSpec, texts: Sequence[str]) -> Embedded:
        """Unit vectors of checked texts by the collection's model.

        Raises FailedPrecondition (the collection has none), ModelConflict (its vectors do not fit
        the collection), and what `generate` raises; Unavailable when nobody serves it now.
        """
        name = require_model(spec, "text")
        model = self._routing.table.model_by_name.get(name)
        if model is None:
            raise Unavailable(f"embedding model {name!r} is not served now", model=name)
        check_dimension(spec, model)
        return await self._embed(call, model, texts, True, MAX_EMBED_TEXTS)

    def _choose(self, name: str) -> ModelRoute:
        if name != AUTO:
            return self._routing.model(name)
        models = self._routing.table.models
        if not models:
            raise ModelNotFound("no embedding model is served", model=AUTO)
        return models[0]

    async def _embed(
        self, call: Call, model: ModelRoute, texts: Sequence[str], normalize: bool, size: int
    ) -> Embedded:
        if model.protocol != "grpc":
            raise FailedPrecondition(
                f"embedding model {model.name!r} is served over {model.protocol}, which this gateway does "
                "not speak yet: only models that embedders of this release serve can embed texts",
                model=model.name,
                protocol=model.protocol,
            )
        slots = asyncio.Semaphore(_CHUNKS_AT_ONCE)

        async def chunk(first: int) -> pb.EmbedResponse:
            part = texts[first : first + size]
            async with slots:
                answer = await self._reach(
                    call, model, pb.EmbedRequest(model=model.name, texts=part, normalize=normalize)
                )
            if len(answer.float32_le) != 4 * model.dimension * len(part):
                raise Internal(
                    f"model {model.name!r} answered {len(answer.float32_le)} bytes for {len(part)} "
                    f"texts of dimension {model.dimension}"
                )
            return answer

        began = call.clock()
        with call.waiting("embed"):
            answers = await gather_all([chunk(first) for first in range(0, len(texts), size)])
        self._metrics.embedded(model.name, call.clock() - began)
        return Embedded(
            model=model.name,
            vectors=np.concatenate(
                [np.frombuffer(answer.float32_le, "<f4").reshape(-1, model.dimension) for answer in answers]
            ),
            tokens=[tokens for answer in answers for tokens in answer.tokens],
            truncated=[
                number * size + index for number, answer in enumerate(answers) for index in answer.truncated
            ],
        )

    async def _reach(self, call: Call, model: ModelRoute, request: pb.EmbedRequest) -> pb.EmbedResponse:
        async def attempt(timeout_s: float) -> pb.EmbedResponse:
            # The next endpoint at each attempt: one that is away costs a pause, not the request.
            endpoint = model.addresses[next(self._turn) % len(model.addresses)]
            return await self._stubs.get(endpoint).Embed(request, timeout=timeout_s)

        try:
            return await call_with_retry(attempt, call.deadline, call.clock)
        except (Unavailable, DeadlineExceeded) as error:
            raise type(error)(
                f"embedding model {model.name!r}: {error.message}",
                **{**error.details, "model": model.name},
            ) from None


def embedder_addresses(table: RoutingTable) -> set[str]:
    """host:port of every embedder; models that others serve have URLs instead."""
    return {endpoint for model in table.models if model.protocol == "grpc" for endpoint in model.addresses}


def check_dimension(spec: CollectionSpec, model: ModelRoute) -> None:
    """Raises ModelConflict when the model's vectors do not fit the collection."""
    if model.dimension != spec.dimension:
        raise ModelConflict(
            f"model {model.name!r} makes vectors of {model.dimension} numbers, "
            f"collection {spec.name!r} takes {spec.dimension}",
            model=model.name,
            expected=spec.dimension,
            got=model.dimension,
        )
