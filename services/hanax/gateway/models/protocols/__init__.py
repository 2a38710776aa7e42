"""Clients of the servers that models run on, one module for each protocol.

All of them check what comes back: its size, its form, the number and order of vectors, their
dimension, and that every number is finite. What fails is one of hanax.core.errors (`failures`),
with `retryable` in its details where trying again, here or elsewhere, is known to be of no use.
"""
