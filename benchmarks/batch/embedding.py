"""bulk_embed into a collection, beside the same embedder asked directly, turn about."""

from __future__ import annotations

import statistics
from typing import Any, Final

import orjson

from benchmarks.batch import stack as stacks
from benchmarks.embedder.served import Served
from benchmarks.embedder.texts import mixed_texts

MODEL: Final = "all-MiniLM-L6-v2"
DIMENSION: Final = 384
ROUNDS: Final = 5
# Of one round: as the embedder's own benchmark asks it, and as jobs do; the better one counts.
LOADS: Final = ((64, 16), (4, 100))


def measure(texts: int, direct: int) -> dict[str, Any]:
    """texts: through jobs, in all rounds together. direct: in each round and load, by the embedder alone."""
    run: dict[str, Any] = {"what": "bulk_embed", "texts": texts, "rounds": []}
    words = mixed_texts(10_000)
    with stacks.running(EMBEDDER_MODEL=MODEL) as stack:
        stack.create("docs", DIMENSION, MODEL)
        served = Served("embedder", MODEL, stack.address_of["embedder"])
        served.embed(words[:64], 4, 16)
        number = 0

        def distinct(count: int) -> list[str]:
            """Texts that no cache has seen, of the same lengths in each round."""
            nonlocal number
            made = [f"{words[row % len(words)]} {number + row}" for row in range(count)]
            number += count
            return made

        for _ in range(ROUNDS):
            rates = {load: direct / served.embed(distinct(direct), *load).seconds for load in LOADS}
            rows = [
                {"id": f"{number}-{row}", "text": text} for row, text in enumerate(distinct(texts // ROUNDS))
            ]
            data = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
            spec = {"kind": "bulk_embed", "collection": "docs"}
            seconds = stack.job_s(spec, "texts.jsonl", data)
            told = {
                "embedder_texts_per_s": {f"{at}x{size}": rate for (at, size), rate in rates.items()},
                "job_texts_per_s": len(rows) / seconds,
                "ratio": len(rows) / seconds / max(rates.values()),
            }
            print(
                f"  bulk_embed {told['job_texts_per_s']:,.0f}/s, {told['ratio']:.3f} of the embedder",
                flush=True,
            )
            run["rounds"].append(told)
        stored = stack.call("POST", "/vectors/count", json={"collection": "docs"})["count"]
        if stored != texts // ROUNDS * ROUNDS:
            raise RuntimeError(f"{stored} points are stored of {texts}")
    run["ratio"] = statistics.median(one["ratio"] for one in run["rounds"])
    return run
