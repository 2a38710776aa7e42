"""What a job makes of the parts that it embeds one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import orjson
import pytest

from hanax.core.errors import ModelConflict
from hanax.core.model_routes import ModelRoute
from hanax.gateway.calls import Call
from hanax.gateway.embedding_requests import EmbedOptions
from hanax.gateway.jobs.orders import embed_order
from hanax.gateway.jobs.port import JobKind, JobRun
from hanax.gateway.jobs.works import Works
from hanax.gateway.models.embedding import Embedded, Embedding
from hanax.gateway.models.registry import Model
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.points import Points


class Changing(Embedding):
    """Its model makes vectors of another of these lengths with every request."""

    def __init__(self, dimensions: Sequence[int]) -> None:
        self.timeout_s = 60.0
        self._left = list(dimensions)

    def choose(self, name: str) -> Model:
        route = ModelRoute(name=name, dimension=self._left[0], max_tokens=8, endpoints=({"address": "a"},))
        return Model(route, cast("Any", None), cast("Any", None))

    async def embed(
        self, call: Call, model: Model, texts: Sequence[str], wanted: Wanted, at_once: int | None = None
    ) -> Embedded:
        vectors = np.ones((len(texts), self._left.pop(0)), np.float32)
        return Embedded(model.route, vectors, None, 0, [], [], len(texts))


async def result_of(dimensions: Sequence[int]) -> Any:
    works = Works(Changing(dimensions), cast("Points", None), time.monotonic, 60.0)
    order = embed_order("m", [f"text {number}" for number in range(600)], EmbedOptions())
    return orjson.loads(await works.by_kind()[JobKind.EMBED](JobRun("1", order, lambda _: None)))


async def test_parts_are_put_together_in_order() -> None:
    assert np.shape((await result_of([8, 8, 8]))["embeddings"]) == (600, 8)


async def test_a_model_whose_vectors_get_another_length_meanwhile_is_a_conflict() -> None:
    with pytest.raises(ModelConflict) as refusal:
        await result_of([8, 16, 16])
    assert (refusal.value.details["expected"], refusal.value.details["got"]) == (8, 16)
