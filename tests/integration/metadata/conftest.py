"""Fixtures of the stores that the metadata database holds."""

from __future__ import annotations

import pytest

from hanax.metadata.database import Database
from tests.integration.metadata.job_world import JobWorld


@pytest.fixture
def world(database: Database) -> JobWorld:
    return JobWorld(database)
