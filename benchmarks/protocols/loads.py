"""What a load measured, and the load that wrk makes over HTTP."""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

_SCRIPT: Final = Path(__file__).with_name("search.lua")
# Behind its time wrk waits for the last answers.
_GRACE_S: Final = 30.0
_TIMEOUT_S: Final = 10
# Of the digits that are counted up, as many as no load uses.
_COUNTS: Final = itertools.count(step=100_000)


@dataclass(frozen=True, slots=True)
class Load:
    """Searches over so many connections, for so long."""

    connections: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """failed: of all requests, those that were not answered, or with an error."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


def first_count() -> int:
    """From where the next load counts its digits up."""
    return next(_COUNTS)


def http_load(url: str, path: str, bodies: Path, load: Load) -> Measured:
    """bodies: as `points.write_templates` makes them."""
    done = subprocess.run(
        [
            *("wrk", "--threads", "1", "--connections", str(load.connections)),
            *("--duration", f"{load.seconds:g}s", "--timeout", f"{_TIMEOUT_S}s", "--script", str(_SCRIPT)),
            *(url, "--", str(bodies), path, str(first_count())),
        ],
        capture_output=True,
        check=True,
        timeout=load.seconds + _GRACE_S,
    )
    return Measured(**orjson.loads(done.stderr.splitlines()[-1]))
