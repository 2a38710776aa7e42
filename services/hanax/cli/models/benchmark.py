"""`hana-x-models benchmark`: latency and throughput of a model."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import typer

from hanax.cli.models.embedding import embed
from hanax.cli.progress import Advance
from hxp_vector_client import AsyncVectorClient

# Of common length, so that a text has about as many tokens as words.
_WORDS: Final = (
    "time year people way day man thing woman life child world school state family student group country "
    "problem hand part place case week company system program question work government number night point "
    "home water room mother area money story fact month lot right study book eye job word business issue"
)
_QUANTILES: Final = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}


@dataclass(frozen=True)
class Load:
    """What is sent."""

    samples: Annotated[int, typer.Option("--samples", "-n", min=1, help="Texts in all.")] = 200
    batch_size: Annotated[
        int, typer.Option("--batch-size", "-b", min=1, max=128, help="Texts of one request.")
    ] = 1
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=256, help="Requests at once.")
    ] = 1
    words: Annotated[int, typer.Option("--words", min=1, max=10_000, help="Words of a text.")] = 32
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="Requests before, that do not count.")] = 3
    seed: Annotated[int, typer.Option("--seed", help="Of the texts.")] = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """latency_ms: of requests: mean, p50, p90, p95, p99, max. tokens_per_s: None: the model tells none."""

    model: str
    samples: int
    requests: int
    batch_size: int
    concurrency: int
    words: int
    seconds: float
    texts_per_s: float
    tokens_per_s: float | None
    latency_ms: dict[str, float]


async def measure(client: AsyncVectorClient, model: str, load: Load, advance: Advance) -> Measured:
    """Raises the first error that the gateway answers."""
    batches = _batches(load, load.warmup * load.batch_size + load.samples)
    for _ in range(load.warmup):
        await embed(client, model, next(batches))
    latencies: list[float] = []
    tokens = 0

    async def work() -> None:
        nonlocal tokens
        for texts in batches:
            sent = time.perf_counter()
            made = await embed(client, model, texts)
            latencies.append(time.perf_counter() - sent)
            tokens += made.total_tokens
            advance(len(texts))

    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(load.concurrency):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    seconds = time.perf_counter() - began
    found = np.array(latencies) * 1e3
    quantiles = {name: round(float(np.percentile(found, share)), 3) for name, share in _QUANTILES.items()}
    return Measured(
        model=model,
        samples=load.samples,
        requests=len(latencies),
        batch_size=load.batch_size,
        concurrency=load.concurrency,
        words=load.words,
        seconds=round(seconds, 3),
        texts_per_s=round(load.samples / seconds, 2),
        tokens_per_s=round(tokens / seconds, 1) if tokens else None,
        latency_ms={"mean": round(float(found.mean()), 3), **quantiles, "max": round(float(found.max()), 3)},
    )


def _batches(load: Load, texts: int) -> Iterator[list[str]]:
    """Texts that differ from one another, the same for the same seed."""
    chance, words = random.Random(load.seed), _WORDS.split()
    made = 0
    while made < texts:
        size = min(load.batch_size, texts - made)
        numbers = range(made, made + size)
        yield [f"{load.seed}-{one} " + " ".join(chance.choices(words, k=load.words)) for one in numbers]
        made += size
