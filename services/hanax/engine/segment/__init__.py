"""Segments: growing, sealed, and the tombstones over both."""
