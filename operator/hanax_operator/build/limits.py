"""What a process is told of what its pod may use, where it can't see that itself.

A process sees its memory limit, but not a request that has no limit; and it sees all cores of the machine,
whatever part of them its pod may use: threads beyond that part only wait for their turn.
"""

from __future__ import annotations

from decimal import ROUND_CEILING
from typing import Final

from hanax.core.resources.quantities import bytes_of, value_of
from hanax.core.resources.scheduling import Resources

# Builds of indexes; the rest is for searches, writes and mapped files.
_INDEX_MEMORY_PART: Final = 4
# Vectors that are not sealed yet, in a growing segment and in those that are being sealed, per shard.
_SEGMENT_MEMORY_PART: Final = 16
# The index-shard's own default: more memory does not make larger segments.
_SEGMENT_BYTES: Final = 64 * 1024 * 1024
# The least that its setting takes.
_SMALLEST_SEGMENT_BYTES: Final = 65_536
# The most that the settings of threads take.
_MOST_THREADS: Final = 256


def shard_limits(asked: Resources | None) -> dict[str, str]:
    """Settings of an index-shard."""
    settings = {}
    memory = _memory_bytes(asked)
    if memory is not None:
        settings["HANAX_INDEX_MEMORY_BYTES"] = str(memory // _INDEX_MEMORY_PART)
        segment = max(memory // _SEGMENT_MEMORY_PART, _SMALLEST_SEGMENT_BYTES)
        if segment < _SEGMENT_BYTES:
            settings["HANAX_SEGMENT_MAX_BYTES"] = str(segment)
    cores = _cores(asked)
    if cores is not None:
        settings["HANAX_INDEX_BUILD_THREADS"] = str(cores)
    return settings


def embedder_limits(asked: Resources | None) -> dict[str, str]:
    """Settings of an embedder."""
    cores = _cores(asked)
    return {} if cores is None else {"HANAX_EMBEDDER_THREADS": str(cores)}


def _memory_bytes(asked: Resources | None) -> int | None:
    """The limit, or else the request: what is above it may be taken away at any time. 0 limits nothing."""
    if asked is None:
        return None
    found = (bytes_of(amounts.get("memory", 0)) for amounts in (asked.limits, asked.requests) if amounts)
    return next((memory for memory in found if memory > 0), None)


def _cores(asked: Resources | None) -> int | None:
    """The limit, rounded up. A request limits nothing: a pod may use what others leave. Nor does 0."""
    if asked is None or not asked.limits:
        return None
    cores = int(value_of(asked.limits.get("cpu", 0)).to_integral_value(ROUND_CEILING))
    return min(cores, _MOST_THREADS) if cores > 0 else None
