from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanax.metadata.database import Database
from tests.integration.batch.gateway_double import GatewayDouble
from tests.integration.batch.processor_world import World


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    # Of the methods it has those that a processor calls.
    async with GatewayDouble().serving() as gateway:  # type: ignore[abstract]
        yield World(database, tmp_path / "jobs", gateway)
