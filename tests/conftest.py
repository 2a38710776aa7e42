"""Fixtures that tests of several folders ask for."""

from __future__ import annotations

from tests.databases import (
    _migrated_file,
    database,
    database_url,
    dialect,
    empty_database_url,
    postgresql,
)

__all__ = ["_migrated_file", "database", "database_url", "dialect", "empty_database_url", "postgresql"]
