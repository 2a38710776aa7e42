"""Embedding models: which there are, how each is reached, and what it is asked."""
