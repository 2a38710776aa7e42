"""Requests with an Idempotency-Key: carried out once, and answered again as they were."""
