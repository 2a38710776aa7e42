"""What reads and writes of points go through. `shards` is for reads: a write goes through `writes`."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.gateway.cache.answers import AnswerCache
from hanax.gateway.cache.writes import ShardWrites
from hanax.gateway.calls import Timeouts
from hanax.gateway.jobs.queueing import Queueing
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedding
from hanax.gateway.routing import Routing
from hanax.gateway.shards import Shards


@dataclass(frozen=True, slots=True)
class Upstreams:
    routing: Routing
    shards: Shards
    writes: ShardWrites
    answers: AnswerCache
    embedding: Embedding
    queueing: Queueing
    metrics: Metrics
    timeouts: Timeouts
