"""Filters on metadata: which rows of a segment an expression matches."""
