"""`make bench-index`: the engine's vector indexes beside other libraries, on one machine, in one run."""
