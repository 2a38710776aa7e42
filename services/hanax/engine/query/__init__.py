"""Reading a view of a shard: search, get, scroll, count."""
