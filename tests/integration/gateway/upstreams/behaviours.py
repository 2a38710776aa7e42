"""How a server treats a request: well, or in one of the ways that servers fail.

A behaviour is called with the exchange, which knows the right reply, and does with it what it likes.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import orjson

from tests.integration.gateway.upstreams.replies import JSON, Reply, Request


class Exchange(Protocol):
    """One request and the way back, over HTTP/1.1 or HTTP/2."""

    request: Request
    reply: Reply

    async def send(self, reply: Reply) -> None:
        """All of it."""

    async def begin(self, reply: Reply) -> None:
        """Its status and headers, for a body as long as its own, or as they say."""

    async def write(self, part: bytes) -> None:
        """Some of the body."""

    async def end(self) -> None:
        """No more of the body comes."""

    async def reset(self) -> None:
        """Over HTTP/1.1 the connection, over HTTP/2 the stream."""

    async def gone(self) -> None:
        """Wait until the client has given up."""


Behaviour = Callable[[Exchange], Awaitable[None]]


async def well(exchange: Exchange) -> None:
    await exchange.send(exchange.reply)


async def hang(exchange: Exchange) -> None:
    """Takes the request and never answers."""
    await exchange.gone()


async def hang_in_body(exchange: Exchange) -> None:
    await exchange.begin(exchange.reply)
    await exchange.write(exchange.reply.body[:10])
    await exchange.gone()


async def reset(exchange: Exchange) -> None:
    await exchange.reset()


async def reset_in_body(exchange: Exchange) -> None:
    await exchange.begin(exchange.reply)
    await exchange.write(exchange.reply.body[: len(exchange.reply.body) // 2])
    await exchange.reset()


async def end_in_body(exchange: Exchange) -> None:
    """Half of what was announced, and a polite end."""
    await exchange.begin(exchange.reply)
    await exchange.write(exchange.reply.body[: len(exchange.reply.body) // 2])
    await exchange.end()


def slow(delay_s: float) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(delay_s)
        await exchange.send(exchange.reply)

    return behave


def drip(size: int, pause_s: float) -> Behaviour:
    """The right answer, `size` bytes at a time."""

    async def behave(exchange: Exchange) -> None:
        body = exchange.reply.body
        await exchange.begin(exchange.reply)
        for first in range(0, len(body), size):
            await exchange.write(body[first : first + size])
            await asyncio.sleep(pause_s)
        await exchange.end()

    return behave


def huge(size: int) -> Behaviour:
    """JSON without an end, announced as such."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin(Reply(headers={**JSON, "content-length": str(size)}))
        for _ in range(0, size, 65_536):
            await exchange.write(b"[" * 65_536)

    return behave


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Behaviour:
    return _altered(lambda reply: Reply(code, body or b'{"error":"as told"}', {**JSON, **(headers or {})}))


def redirect(location: str) -> Behaviour:
    return status(307, {"location": location})


def wrong_dimension(dimension: int) -> Behaviour:
    return _vectors(lambda rows: [(row * dimension)[:dimension] for row in rows])


def wrong_count(by: int) -> Behaviour:
    """`by` vectors more than texts, or fewer."""
    return _vectors(lambda rows: [*rows, *rows[:by]] if by > 0 else rows[:by])


def body(content: bytes, headers: Mapping[str, str] | None = None) -> Behaviour:
    return _altered(lambda reply: Reply(200, content, headers or dict(JSON)))


def _altered(change: Callable[[Reply], Reply]) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.send(change(exchange.reply))

    return behave


def _vectors(change: Callable[[list[list[float]]], list[list[float]]]) -> Behaviour:
    """The right answer with other vectors, in whatever protocol and encoding it is."""

    def altered(reply: Reply) -> Reply:
        value: Any = orjson.loads(reply.body)
        if isinstance(value, list):
            return replace(reply, body=_json(change(value)))
        if "data" in value:
            in_base64 = isinstance(value["data"][0]["embedding"], str)
            rows = change([_numbers(item["embedding"]) for item in value["data"]])
            value["data"] = [
                {"index": index, "embedding": _base64(row) if in_base64 else row}
                for index, row in enumerate(rows)
            ]
        elif isinstance(value["embeddings"], dict):
            value["embeddings"]["float"] = change(value["embeddings"]["float"])
        else:
            value["embeddings"] = change(value["embeddings"])
        return replace(reply, body=_json(value))

    return _altered(altered)


def _numbers(embedding: str | list[float]) -> list[float]:
    if isinstance(embedding, str):
        numbers: list[float] = np.frombuffer(base64.b64decode(embedding), "<f4").tolist()
        return numbers
    return embedding


def _base64(row: list[float]) -> str:
    return base64.b64encode(np.array(row, "<f4").tobytes()).decode()


def _json(value: object) -> bytes:
    """As Python's own module writes it: NaN and Infinity are left as they are."""
    return json.dumps(value).encode()


def _items(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Behaviour:
    """The right answer of OpenAI's protocol with other items."""

    def altered(reply: Reply) -> Reply:
        value = orjson.loads(reply.body)
        return replace(reply, body=_json({**value, "data": change(value["data"])}))

    return _altered(altered)


not_finite = _vectors(lambda rows: [*rows[:-1], [float("nan"), *rows[-1][1:]]])
infinite = _vectors(lambda rows: [[float("inf"), *rows[0][1:]], *rows[1:]])
zeros = _vectors(lambda rows: [[0.0] * len(row) for row in rows])
out_of_order = _items(lambda items: items[::-1])
same_indexes = _items(lambda items: [{**item, "index": 0} for item in items])
cut_json = _altered(lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]))
page = body(b"<html>It works!</html>", {"content-type": "text/html"})
compressed = _altered(
    lambda reply: replace(
        reply, body=gzip.compress(reply.body), headers={**reply.headers, "content-encoding": "gzip"}
    )
)
