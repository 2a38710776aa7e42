"""`make bench-cache`. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks import report
from benchmarks.cache import lookups, models, upstream
from benchmarks.cache.load import client
from benchmarks.processes import free_port, local_stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of each: does all of it run?")
    quick = parser.parse_args().quick
    about = {
        "hardware": report.hardware(),
        "versions": report.versions("httpx", "redis", "fastapi", "uvicorn"),
        "quick": quick,
    }
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        replicas = [stack.enter_context(upstream.running({models.REPLICATED: 0.01})) for _ in range(3)]
        many = stack.enter_context(upstream.running(models.DELAYS_S))
        file = folder / "models.yaml"
        file.write_text(yaml.safe_dump_all(models.declarations(replicas, many)))
        os.environ |= {
            "HANAX_REDIS_URL": stack.enter_context(lookups.running_redis(folder)),
            "HANAX_MODELS_FILE": str(file),
        }
        url = stack.enter_context(local_stack(folder / "data", free_port()))
        runs = asyncio.run(_measure(url, replicas, quick))
    by_part = {run["part"]: run for run in runs}
    for run in runs:
        print(orjson.dumps(run).decode())
    report.save(
        "cache",
        {
            "lookup_p99_ms": by_part["lookups"]["lookup_p99_ms"],
            "hit_rate": by_part["lookups"]["hit_rate"],
            "failover_failed_requests": by_part["failover"]["failed"],
            "balance_spread": by_part["failover"]["spread"],
        },
        runs,
        seconds=round(time.monotonic() - begun),
        **about,
    )


async def _measure(url: str, replicas: list[upstream.Upstream], quick: bool) -> list[dict[str, Any]]:
    async with client(url) as asking:
        return [
            await lookups.measure(asking, 1_000 if quick else 10_000),
            await models.measure_failover(asking, replicas, 6.0 if quick else 30.0),
            await models.measure_isolation(asking, 3.0 if quick else 15.0),
        ]


if __name__ == "__main__":
    main()
