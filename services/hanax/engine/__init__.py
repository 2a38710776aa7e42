"""The vector engine: one shard as a log-structured store of columns. A library: no network, no asyncio."""
