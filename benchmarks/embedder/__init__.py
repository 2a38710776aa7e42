"""`make bench-embedder`: the embedder through its gRPC beside plain sentence-transformers, in one run."""
