"""One shard of a collection: what the index-shard service uses of the engine."""

from hanax.engine.points import Hits, Points, Projection
from hanax.engine.schema import Schema, VectorField
from hanax.engine.shard.background import Background
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.results import Deleted, MetadataUpdated, ShardStats, Upserted
from hanax.engine.shard.shard import Shard

__all__ = [
    "Background",
    "Deleted",
    "Hits",
    "MetadataUpdated",
    "Points",
    "Projection",
    "Schema",
    "Shard",
    "ShardOptions",
    "ShardStats",
    "Upserted",
    "VectorField",
]
