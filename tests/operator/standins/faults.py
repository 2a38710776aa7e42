"""What goes wrong in the cluster, by a test's wish."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Faults:
    """Sets of `namespace/name` prefixes: of pods, or of collections where it says so.

    failed: why a collection's shards do not open. stale: collections whose shards stay at the generation
    they have. points: how many points a collection has. gpus: what the node has of a resource.
    """

    pending: set[str] = field(default_factory=set)
    image_missing: set[str] = field(default_factory=set)
    crashing: set[str] = field(default_factory=set)
    not_ready: set[str] = field(default_factory=set)
    state_broken: set[str] = field(default_factory=set)
    state_hangs: set[str] = field(default_factory=set)
    opening: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    gpus: dict[str, int] = field(default_factory=dict)
    growth_stuck: set[str] = field(default_factory=set)


def hits(prefixes: Iterable[str], namespace: str, name: str) -> bool:
    return any(f"{namespace}/{name}".startswith(prefix) for prefix in prefixes)
