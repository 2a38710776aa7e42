"""`make bench-batch`. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks import report
from benchmarks.batch import embedding, inserting, metadata_queries
from benchmarks.batch.aged_database import Sizes

_QUICK_SIZES: Final = Sizes(logged=2_000, libraries=5, documents=200, jobs=50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little data: does all of it run?")
    parser.add_argument("--only", nargs="+", choices=("embed", "insert", "metadata"))
    options = parser.parse_args()
    quick: bool = options.quick
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "insert": lambda: inserting.measure(5_000 if quick else 200_000),
        "metadata": lambda: metadata_queries.measure(_QUICK_SIZES if quick else Sizes()),
        "embed": lambda: embedding.measure(500 if quick else 100_000, 100 if quick else 3_200),
    }
    begun = time.monotonic()
    hardware = report.hardware()
    found: dict[str, dict[str, Any]] = {}
    for name, measure in parts.items():
        if options.only is None or name in options.only:
            print(name, flush=True)
            found[name] = measure()
    headline = {
        "bulk_embed_vs_embedder": ("embed", "ratio"),
        "bulk_insert_vs_shard": ("insert", "ratio"),
        "metadata_p99_ms": ("metadata", "metadata_p99_ms"),
    }
    report.save(
        "batch",
        {key: found[part][field] for key, (part, field) in headline.items() if part in found},
        [{"part": name, **run} for name, run in found.items()],
        hardware=hardware,
        versions=report.versions("grpcio", "onnxruntime", "pyarrow", "sqlalchemy", "taskiq"),
        quick=quick,
        seconds=round(time.monotonic() - begun),
    )


if __name__ == "__main__":
    main()
