"""What jobs do: embed texts part by part, with patience, and store them where points were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from hanax.core.errors import DeadlineExceeded, HanaxError, ResourceExhausted, Unavailable
from hanax.gateway.calls import Call
from hanax.gateway.jobs.orders import read_embed_order, read_insert_order
from hanax.gateway.jobs.port import JobKind, JobRun, Work
from hanax.gateway.models.embedding import Embedded, Embedding, joined
from hanax.gateway.models.registry import Model
from hanax.gateway.models.wanted import Wanted
from hanax.gateway.points import Points, wanted_of
from hanax.gateway.renderings import render_embedded, render_inserted

# One part is as far as a job's progress is told, and as much as a failure costs.
_PART_TEXTS: Final = 256

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


class Works:
    """timeout_s: of a whole job; until then what may pass is waited for and tried again."""

    def __init__(
        self, embedding: Embedding, points: Points, clock: Callable[[], float], timeout_s: float
    ) -> None:
        self._embedding = embedding
        self._points = points
        self._clock = clock
        self._timeout_s = timeout_s

    def by_kind(self) -> Mapping[JobKind, Work]:
        return {JobKind.EMBED: self._embed, JobKind.INSERT: self._insert}

    async def _embed(self, run: JobRun) -> bytes:
        order = read_embed_order(run.order.body)
        model = self._embedding.choose(run.order.model)
        wanted = order.options.wanted()
        embedded = await self._in_parts(run, self._call(run), model, order.texts, wanted)
        return await asyncio.to_thread(_dump, render_embedded(embedded))

    async def _insert(self, run: JobRun) -> bytes:
        order = read_insert_order(run.order.body)
        call = self._call(run)
        wanted = wanted_of(order.request)

        async def embed(model: Model, texts: Sequence[str]) -> Embedded:
            return await self._in_parts(run, call, model, texts, wanted)

        return _dump(render_inserted(await self._points.insert_later(call, order.request, order.uid, embed)))

    def _call(self, run: JobRun) -> Call:
        return Call(f"job-{run.id}", self._clock)

    async def _in_parts(
        self, run: JobRun, call: Call, model: Model, texts: Sequence[str], wanted: Wanted
    ) -> Embedded:
        parts = []
        for first in range(0, len(texts), _PART_TEXTS):
            part = texts[first : first + _PART_TEXTS]
            parts.append(await self._patiently(call, model, part, wanted))
            run.progress(first + len(part))
        return joined(parts)

    async def _patiently(self, call: Call, model: Model, texts: Sequence[str], wanted: Wanted) -> Embedded:
        """Raises the error that was met last, when the job's time is over or waiting won't help."""
        deadline = call.started + self._timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            call.grant(max(0.0, min(self._embedding.timeout_s, deadline - self._clock())))
            try:
                return await self._embedding.embed(call, model, texts, wanted)
            except (Unavailable, ResourceExhausted, DeadlineExceeded) as error:
                wait_s = min(max(pause_s, _retry_after_s(error)), _LONGEST_PAUSE_S)
                if error.details.get("retryable") is False or self._clock() + wait_s >= deadline:
                    raise
            await asyncio.sleep(wait_s)
            pause_s *= 2
            # Its endpoints may be others by now.
            model = self._embedding.choose(model.route.name)


def _retry_after_s(error: HanaxError) -> float:
    return float(error.details.get("retry_after_s", 0.0))


def _dump(result: Mapping[str, object]) -> bytes:
    return orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY)
