"""Answers and embeddings that are given again: in Redis for all gateways, or in this process."""
