"""`make bench-index`. One part alone: `python -m benchmarks.index --only qps --data b`.

`--only single --again` puts a part that something disturbed in the place of the one in RESULTS/index.json,
which then says so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from benchmarks import report
from benchmarks.index import cache, datasets, floors, ingest, masked, plot, qps, single
from benchmarks.index.contestants import all_contestants

PARTS: Final = ("qps", "masked", "ingest", "single", "floors")
_LIBRARIES: Final = (
    *(
        "numpy",
        "numba",
        "hnswlib",
        "faiss-cpu",
        "usearch",
        "scann",
        "qdrant-edge-py",
        "sentence-transformers",
    ),
)


def main(arguments: Sequence[str]) -> None:
    asked = _parse(arguments)
    whole = set(asked.only) == set(PARTS) and set(asked.data) == set(datasets.NAMES) and not asked.quick
    if not asked.again and not (whole and asked.contestants is None):
        # Figures of a part, or of little data, are not the benchmark's.
        os.environ.setdefault("RESULTS", str(cache.FOLDER / "results"))
    about: dict[str, Any] = {"hardware": report.hardware(), "versions": report.versions(*_LIBRARIES)}
    started = time.perf_counter()
    # Kernels that changed are compiled now, and not in what is measured.
    subprocess.run([sys.executable, "-m", "hanax.engine.kernels"], check=True)
    for name in asked.data:
        datasets.load(name, asked.quick)
    runs: list[dict[str, Any]] = []
    for part in asked.only:
        print(f"\n--- {part}, after {time.perf_counter() - started:.0f} s", flush=True)
        runs += _run(part, asked)
    about["seconds"] = round(time.perf_counter() - started)
    if asked.again:
        before = report.load("index")
        kept = [run for run in before.pop("runs") if run["part"] not in asked.only]
        again = {"parts": asked.only, **about}
        runs, about = kept + runs, {**before, "again": [*before.get("again", ()), again]}
    path = report.save("index", _headline(runs), runs, **about)
    if speeds := _of(runs, "qps"):
        plot.draw(speeds, path.with_suffix(".png"))


def _run(part: str, asked: argparse.Namespace) -> list[dict[str, Any]]:
    match part:
        case "qps":
            chosen = asked.contestants or list(all_contestants())
            return qps.run(asked.data, list(dict.fromkeys(["hnswlib", *chosen])), asked.quick)
        case "masked":
            return masked.run(asked.data, asked.quick)
        case "ingest":
            return ingest.run(asked.quick)
        case "single":
            return single.run(asked.data, asked.quick)
        case _:
            return floors.run(asked.quick)


def _headline(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What was measured of it, in the order of the docs."""
    return {
        **qps.headline(_of(runs, "qps")),
        **masked.headline(_of(runs, "masked")),
        **ingest.headline(_of(runs, "ingest")),
        **single.headline(_of(runs, "single")),
    }


def _of(runs: Sequence[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    return [run for run in runs if run["part"] == part]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument(
        "--data", nargs="+", choices=datasets.NAMES, default=list(datasets.NAMES), metavar="NAME"
    )
    parser.add_argument("--contestants", nargs="+", choices=list(all_contestants()), metavar="NAME")
    parser.add_argument(
        "--again",
        action="store_true",
        help="put it in the place of what RESULTS/index.json has",
    )
    parser.add_argument("--quick", action="store_true", help="little data, to try the benchmark itself")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
