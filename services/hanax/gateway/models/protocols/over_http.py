"""The client of all HTTP protocols: what they differ in is in their dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hanax.core.errors import UpstreamFailed
from hanax.core.model_routes import ModelRoute
from hanax.gateway.models.protocols.client import Run
from hanax.gateway.models.protocols.dialects import Dialect, Question
from hanax.gateway.models.protocols.exchange import Exchange, late
from hanax.gateway.models.protocols.failures import Server
from hanax.gateway.models.protocols.long_texts import Limits, Reader
from hanax.gateway.models.protocols.vectors import answer_bytes, matrix
from hanax.gateway.models.wanted import Made, Purpose, Wanted, unit_rows


class OverHttp:
    """A ProtocolClient."""

    def __init__(self, dialect: Dialect, exchange: Exchange) -> None:
        self.max_texts = dialect.max_texts
        self.max_tokens_per_request = dialect.max_tokens_per_request
        self._dialect = dialect
        self._exchange = exchange

    async def embed(self, run: Run, model: ModelRoute, texts: Sequence[str], wanted: Wanted) -> Made:
        prompt = prompt_of(model, wanted.purpose)

        async def send(part: Sequence[str], cut: bool) -> Made:
            prompted = [prompt + text for text in part]

            async def attempt(address: str, timeout_s: float) -> Made:
                server = Server(address, model)
                question = Question(server, model.upstream_model or model.name, prompted, wanted, cut)
                try:
                    async with asyncio.timeout(timeout_s):
                        return await self._ask(address, question)
                except TimeoutError:
                    raise late(server, timeout_s) from None

            return await run(attempt)

        limits = Limits(self._dialect.cuts, model.max_tokens, model.max_batch_texts or self.max_texts)
        made = await Reader(send, limits).read(texts, wanted.long_texts)
        return replace(made, vectors=unit_rows(made.vectors)) if wanted.normalize else made

    async def probe(self, address: str, model: ModelRoute, timeout_s: float) -> str:
        await self._exchange.probe(address, model, timeout_s)
        return ""

    async def _ask(self, address: str, question: Question) -> Made:
        server = question.server
        model = server.model
        dimension = question.wanted.dimensions or model.dimension
        # Of whole vectors: a server may not know how to cut them.
        limit_bytes = answer_bytes(model.dimension, question.texts)

        async def post() -> Made:
            answer = await self._exchange.post(
                address, model, self._dialect.path, self._dialect.body(question), limit_bytes
            )
            told = self._dialect.told(question, answer.value, answer.headers)
            rows = matrix(server, told.rows, len(question.texts), dimension)
            if question.wanted.normalize and not np.any(rows, axis=1).all():
                raise server.no_answer("answered a vector of zeros, which has no direction")
            return Made(vectors=rows, total_tokens=told.total_tokens)

        try:
            return await post()
        except UpstreamFailed as failure:
            if not self._dialect.ask_otherwise(question, failure):
                raise
        return await post()


def prompt_of(model: ModelRoute, purpose: Purpose) -> str:
    """What the route puts before a text of that purpose."""
    if purpose is Purpose.QUERY:
        return model.prompts.query
    return model.prompts.document if purpose is Purpose.DOCUMENT else ""
