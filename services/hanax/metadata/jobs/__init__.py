"""Batch jobs: the one truth about them, whoever carries messages between those who do them."""
