"""One way to share requests over endpoints that serve the same: of a model, of a shard."""
