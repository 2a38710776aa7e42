"""The shard service: one process that hosts the shard replicas which the routing table assigns to it."""
