"""One shard of a collection: what the index-shard service uses of the engine."""

from hanax.engine.points import Hits, Points, Projection
from hanax.engine.schema import Schema, VectorField
from hanax.engine.shard.background import Background
from hanax.engine.shard.conditions import Conditions, WriteMode
from hanax.engine.shard.metadata_changes import MetadataChange
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.results import Deleted, MetadataChanged, MetadataUpdated, ShardStats, Upserted
from hanax.engine.shard.shard import Shard

__all__ = [
    "Background",
    "Conditions",
    "Deleted",
    "Hits",
    "MetadataChange",
    "MetadataChanged",
    "MetadataUpdated",
    "Points",
    "Projection",
    "Schema",
    "Shard",
    "ShardOptions",
    "ShardStats",
    "Upserted",
    "VectorField",
    "WriteMode",
]
