"""Bytes on disk: the log, the manifest, checksummed files (docs/formats/shard.md)."""
