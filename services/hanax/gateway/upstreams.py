"""What reads and writes of points go through."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.gateway.calls import Timeouts
from hanax.gateway.embedding import Embedding
from hanax.gateway.metrics import Metrics
from hanax.gateway.routing import Routing
from hanax.gateway.shards import Shards


@dataclass(frozen=True, slots=True)
class Upstreams:
    routing: Routing
    shards: Shards
    embedding: Embedding
    metrics: Metrics
    timeouts: Timeouts
