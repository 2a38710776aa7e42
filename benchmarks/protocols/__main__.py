"""`make bench-protocols`. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from benchmarks import report
from benchmarks.protocols.chroma_server import chroma_server
from benchmarks.protocols.connections import hold
from benchmarks.protocols.effort import equal_efforts
from benchmarks.protocols.hanax_stack import SEARCH_PATH, hanax_stack
from benchmarks.protocols.headline import headline_of
from benchmarks.protocols.overhead import sdk_overhead
from benchmarks.protocols.points import points
from benchmarks.protocols.rounds import CONNECTIONS, contestants_of, measure

HELD_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of each: does all of it run?")
    quick = parser.parse_args().quick
    about = {
        "hardware": report.hardware(),
        "versions": report.versions("chromadb", "fastapi", "uvicorn", "uvloop", "grpcio", "httpx"),
        "quick": quick,
    }
    begun = time.monotonic()
    runs: list[dict[str, Any]] = []

    def tell(run: dict[str, Any]) -> None:
        print(orjson.dumps(run).decode(), flush=True)
        runs.append(run)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given = points(quick)
        chroma = stack.enter_context(chroma_server(given, folder))
        hanax = stack.enter_context(hanax_stack(given, folder))
        efforts = equal_efforts(hanax, chroma, given)
        tell({"part": "recall", **asdict(efforts)})
        contestants = contestants_of(hanax, chroma, given, efforts.ef_search)
        for run in measure(contestants, rounds=1 if quick else 5, seconds=1.0 if quick else 5.0):
            tell({"part": "searches", **run})
        bodies = hanax.bodies(given, efforts.ef_search)
        held = asyncio.run(hold(hanax.url, SEARCH_PATH, bodies, 5.0 if quick else HELD_S))
        tell({"part": "connections", "errors": held.errors, **asdict(held)})
        tell({"part": "sdk", **sdk_overhead(hanax, given, 50 if quick else 2_000)})
    report.save(
        "protocols",
        headline_of(runs),
        runs,
        seconds=round(time.monotonic() - begun),
        connections=CONNECTIONS,
        **about,
    )


if __name__ == "__main__":
    main()
