"""`make bench-protocols`: searches over every protocol, beside a `chroma run` server on the same data."""
