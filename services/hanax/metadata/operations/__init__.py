"""The operation log: what was asked of the vectors, by whom, and how it ended."""
