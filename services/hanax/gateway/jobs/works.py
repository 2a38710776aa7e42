"""What jobs do: embed texts part by part, with patience, and store them where points were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from hanax.core.errors import ModelConflict, TextTooLong
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.jobs.orders import read_embed_order, read_insert_order
from hanax.gateway.jobs.patience import Patience
from hanax.gateway.jobs.port import JobKind, JobRun, Work
from hanax.gateway.models.embedding import Embedded, Embedding, joined, too_long
from hanax.gateway.models.registry import Model
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.points import Points, wanted_of
from hanax.gateway.renderings import render_embedded, render_inserted

# One part is as far as a job's progress is told, and as much as a failure costs.
_PART_TEXTS: Final = 256


class Works:
    """timeout_s: of a whole job; until then what may pass is waited for and tried again."""

    def __init__(
        self, embedding: Embedding, points: Points, clock: Callable[[], float], timeout_s: float
    ) -> None:
        self._embedding = embedding
        self._points = points
        self._clock = clock
        self._patience = Patience(timeout_s, clock, asyncio.sleep)

    def by_kind(self) -> Mapping[JobKind, Work]:
        return {JobKind.EMBED: self._embed, JobKind.INSERT: self._insert}

    async def _embed(self, run: JobRun) -> bytes:
        order = read_embed_order(run.order.body)

        def find() -> Model:
            return self._embedding.choose(run.order.model)

        embedded = await self._in_parts(run, self._call(run), find, order.texts, order.options.wanted())
        return await asyncio.to_thread(_dump, render_embedded(embedded))

    async def _insert(self, run: JobRun) -> bytes:
        order = read_insert_order(run.order.body)
        call = self._call(run)
        wanted = wanted_of(order.request)

        async def embed(spec: CollectionSpec, texts: Sequence[str]) -> Embedded:
            return await self._in_parts(run, call, lambda: self._embedding.model_of(spec), texts, wanted)

        stored = await self._points.insert_later(call, order.request, order.uid, embed, self._patience.run)
        return _dump(render_inserted(stored))

    def _call(self, run: JobRun) -> Call:
        return Call(f"job-{run.id}", self._clock)

    async def _in_parts(
        self, run: JobRun, call: Call, find: Callable[[], Model], texts: Sequence[str], wanted: Wanted
    ) -> Embedded:
        """find: the model as it is reached now; other endpoints may serve it when a part is tried again."""
        parts: list[Embedded] = []
        for first in range(0, len(texts), _PART_TEXTS):
            part = texts[first : first + _PART_TEXTS]

            async def embed(part: Sequence[str] = part) -> Embedded:
                return await self._embedding.embed(call, find(), part, wanted)

            try:
                made = await self._patience.run(call, embed, self._embedding.timeout_s)
            except TextTooLong as error:
                raise _moved(error, first) from None
            _check_same_dimension(parts, made)
            parts.append(made)
            run.progress(first + len(part))
        return joined(parts)


def _moved(error: TextTooLong, first: int) -> TextTooLong:
    """Of a part's texts: the same by their places in the whole job. `first`: where the part begins."""
    indexes = [first + index for index in error.details.get("indexes", ())]
    return too_long(error.details, indexes) if indexes else error


def _check_same_dimension(parts: Sequence[Embedded], made: Embedded) -> None:
    if parts and made.vectors.shape[1] != parts[0].vectors.shape[1]:
        expected, got = parts[0].vectors.shape[1], made.vectors.shape[1]
        raise ModelConflict(
            f"embedding model {made.model.name!r} was changed while the job ran: its vectors have "
            f"{got} numbers, those before have {expected}",
            model=made.model.name,
            expected=expected,
            got=got,
        )


def _dump(result: Mapping[str, object]) -> bytes:
    return orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY)
