"""`make bench-cache`: the gateway's cache on a real Redis; spread, failover and isolation of models."""
